"""A process of the product with a protection switched off, so that a check can be seen to bite:
``python -m tests.faults.distributed.weakened nolock,nofence deploy.runner inventory``.

Also what no customer can bring about: ``raising:ACCOUNT`` has every policy fail for one account,
``renewed`` has every read model begin anew, ``slowly:…`` in small steps.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import publisher, single
from services.billing import provider
from shared import failpoints
from shared.consumers import checkpoints, policies, projections


class _Everybodys:
    """A lock that anybody has."""

    def acquire(self) -> bool:
        return True

    def held(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing to let go of."""


def nolock(_about: str) -> None:
    """Two processes believe that they are the active one."""
    single.make_lock = lambda _settings, *_names: _Everybodys()


def nofence(_about: str) -> None:
    """A checkpoint is moved from wherever it is."""

    def move(connection: Any, consumer: str, _old: Any, new: Any) -> None:
        kept(connection, consumer, checkpoints.load(connection, consumer), new)

    kept, checkpoints.move = checkpoints.move, move
    checkpoints.move_together = _one_by_one


def _one_by_one(connection: Any, moved: Sequence[Any]) -> None:
    for consumer, old, new in moved:
        checkpoints.move(connection, consumer, old, new)


def noconfirm(_about: str) -> None:
    """What was sent to the broker counts as taken over."""
    publisher.Publisher._await_confirms = lambda _self: None  # type: ignore[method-assign]


def nopaymentkey(_about: str) -> None:
    """Every attempt to charge has a key of its own, and nothing is looked up before it."""
    charge = provider.Provider.charge
    provider.Provider.charge = (  # type: ignore[method-assign]
        lambda self, asked, _key: charge(self, asked, uuid.uuid4().hex)
    )
    provider.Provider.find_payment = lambda *_: None  # type: ignore[method-assign]


def raising(account: str) -> None:
    """Every policy fails for the events of an account."""
    react = policies.PolicyConsumer._orders

    def orders(self: Any, event: Any) -> Any:
        if event.stored.account_id == account:
            message = "planned poison"
            raise RuntimeError(message)
        return react(self, event)

    policies.PolicyConsumer._orders = orders  # type: ignore[method-assign]


def renewed(_about: str) -> None:
    """Every read model has another version."""
    make = projections.ProjectionConsumer.__init__

    def made(self: Any, projection: projections.Projection, *rest: Any) -> None:
        make(self, replace(projection, version=projection.version + 1000), *rest)

    projections.ProjectionConsumer.__init__ = made  # type: ignore[method-assign]


def slowly(about: str) -> None:
    """Every read model is filled in small steps; ``CONSUMER@POSITION`` says where its process is
    killed, once, before that step is committed."""
    consumer, position = about.split("@")
    mark = Path(os.environ["FAULTS_FOLDER"]) / f"{os.environ['PBXIM_PROCESS']}.died"
    reached: list[int] = []

    def move(connection: Any, name: str, old: Any, new: Any) -> None:
        kept(connection, name, old, new)
        if name == consumer and new.position >= int(position) and not mark.exists():
            reached.append(new.position)

    def reach(place: str) -> None:
        if reached and place == "checkpoint.before":
            mark.write_text(str(reached[0]))
            os.kill(os.getpid(), signal.SIGKILL)
        passed(place)

    # Many steps on the way there, and not so many that a long log takes minutes.
    projections._BATCH = max(50, int(position) // 200)
    kept, checkpoints.move = checkpoints.move, move
    checkpoints.move_together = _one_by_one
    passed, failpoints.reach = failpoints.reach, reach


WEAKNESSES: dict[str, Callable[[str], None]] = {
    one.__name__: one
    for one in (nolock, nofence, noconfirm, nopaymentkey, raising, renewed, slowly)
}


def main() -> None:
    """Switches off what the first argument names, and runs the module that the second names."""
    _, names, module, *rest = sys.argv
    for name in names.split(","):
        kind, _, about = name.partition(":")
        WEAKNESSES[kind](about)
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

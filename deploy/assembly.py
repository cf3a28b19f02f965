"""Puts services together in one process that does everything: commands, consumers, workers.

Nothing here connects before ``assemble`` is called, and everything that is built is handed down
from here. Where services run in processes of their own: runner.py, nameko_services.py, gateway.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.clock_service import ClockService
from deploy.ground import Ground, all_specs
from deploy.works import Works, make_works
from shared.advancing import Advancing, OwnProcess
from shared.clock import MachineClock
from shared.config import Settings
from shared.consumers.effects import EffectWorker
from shared.consumers.engine import Bell, Engine
from shared.consumers.feed import Feed
from shared.consumers.projections import ProjectionConsumer
from shared.rpc import LocalClient
from shared.runtime import Progress, Runtime
from shared.spec import ServiceSpec
from shared.stores import has_room

GATEWAY = "gateway"


@dataclass
class Assembly:
    """A running system in one process, or one that a test steps by hand."""

    settings: Settings
    ground: Ground
    specs: tuple[ServiceSpec, ...]
    works: Works
    engine: Engine
    bell: Bell
    client: LocalClient
    advancing: Advancing

    @property
    def runtime(self) -> Runtime:
        """The gateway's surroundings."""
        return self.ground.runtime(GATEWAY)

    @property
    def feed(self) -> Feed:
        """The one reader of the log."""
        return self.works.feed

    @property
    def workers(self) -> dict[str, tuple[EffectWorker, ...]]:
        """Each service's effect workers."""
        return self.works.workers

    def start(self) -> None:
        """Starts the engine's thread and the effect workers."""
        self.engine.start()
        for pool in self.works.pools:
            pool.start()

    def stop(self, seconds: float = 1.0) -> None:
        """Ends the threads, then lets go of the files."""
        self.engine.stop(seconds)
        for pool in self.works.pools:
            pool.stop(seconds)
        self.close()

    def close(self) -> None:
        """Lets go of the files."""
        self.ground.close()

    def status(self) -> dict[str, Any]:
        """Where every consumer is and whether it stands still, and whether there is room to write:
        for ``/readyz``."""
        return status_of(self.ground, self.engine)

    def projections(self) -> list[ProjectionConsumer]:
        """The read models of this process."""
        return [c for c in self.engine.consumers if isinstance(c, ProjectionConsumer)]

    def settle(self) -> None:
        """Steps consumers and effect workers until nothing has work, and the test clock has come
        to where it was put forward to. For tests: threads do this in a process that runs."""
        while self.engine.settle() or self._worked() or self.advancing.step():
            pass

    def _worked(self) -> bool:
        return any(w.step() for ws in self.workers.values() for w in ws)


def assemble(
    settings: Settings,
    specs: Sequence[ServiceSpec] | None = None,
    machine: MachineClock | None = None,
) -> Assembly:
    """Builds everything from the settings; the data folder is made if it is not there.

    Raises ``setting_invalid``, ``log_of_other_mode``, ``log_went_back``.
    """
    chosen = tuple(specs) if specs is not None else all_specs()
    bell = Bell()
    progress = Progress()
    ground = Ground(settings, chosen, machine or MachineClock(), progress, bell.ring)
    works = make_works(ground, chosen)
    runtimes = [ground.runtime(spec.name) for spec in chosen]
    states = [ground.runtime(service).state for service in works.workers]
    watched = OwnProcess(works.consumers, states, ground.machine, ground.log.head)
    advancing = Advancing(ground.runtime("clock"), watched)
    idle = advancing.idle_seconds
    look = works.feed.one_look
    engine = Engine(works.consumers, progress, bell, idle, advancing.step, one_look=look)
    called: dict[str, object] = {
        spec.name: spec.rpc(runtime) for spec, runtime in zip(chosen, runtimes, strict=True)
    }
    if settings.sandbox:
        called[ClockService.name] = ClockService(ground.runtime("clock"), advancing, bell.ring)
    client = LocalClient(called)
    return Assembly(settings, ground, chosen, works, engine, bell, client, advancing)


def status_of(ground: Ground, engine: Engine) -> dict[str, Any]:
    """What ``/readyz`` says of a process that consumes."""
    head = ground.log.head()
    consumers = {
        c.name: {"position": c.position, "lag": head - c.position, "failure": c.failure}
        for c in engine.consumers
    }
    failed = [name for name, found in consumers.items() if found["failure"]]
    room = has_room(ground.settings.data)
    return {
        "mode": ground.settings.mode,
        "ready": room and not failed,
        "storage": "ok" if room else "full",
        "head": head,
        "log_id": ground.log.log_id,
        "consumers": consumers,
    }

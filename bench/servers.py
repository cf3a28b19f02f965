"""A PostgreSQL and a RabbitMQ for one measurement, set up as by ``make up``, and gone after."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from deploy.migrations import migrate, migrate_stores
from deploy.publisher import Publisher
from deploy.up.migrate import prepare
from deploy.up.plan import Program
from deploy.up.servers import Servers
from shared.errors import Unavailable

_SECONDS = 60.0
_PAUSE = 0.05


@contextmanager
def servers(folder: Path, *, broker: bool = False) -> Iterator[Servers]:
    """The servers of ``folder``, with roles and schemas; what they hold stays there until
    ``remove`` is called."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Servers(folder)
    with ExitStack() as running:
        running.enter_context(_started(found.postgres(), folder / "postgresql.log"))
        for program in found.rabbitmq() if broker else ():
            running.enter_context(_started(program, folder / f"{program.name}.log"))
        _when_there(lambda: prepare(found))
        migrate_stores(found.database("pbxim_owner"))
        migrate(found.database("pbxim_owner"))
        if broker:
            _when_there(lambda: _ask(found.broker))
        yield found


@contextmanager
def own_servers(folder: Path, *, broker: bool = False) -> Iterator[Servers]:
    """``servers`` that leave nothing behind."""
    try:
        with servers(folder, broker=broker) as found:
            yield found
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Takes away what the servers of ``folder`` wrote. They must have ended."""
    command = Servers(folder).postgres().command
    shutil.rmtree(Path(command[command.index("-D") + 1]).parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(program: Program, said: Path) -> Iterator[None]:
    with said.open("ab") as log:
        child = subprocess.Popen(
            [*_as_user(program.user), *program.command],
            cwd="/",
            env=os.environ | program.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        child.send_signal(signal.SIGINT if program.stop_by == "INT" else signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_SECONDS)
        child.kill()


def _as_user(user: str) -> list[str]:
    # They end with the measurement, also where it is killed.
    who = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    return ["setpriv", "--pdeathsig", "QUIT", *who]


def _when_there(work: Callable[[], None]) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            work()
        except Unavailable:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _ask(broker: str) -> None:
    publisher = Publisher(broker)
    publisher.connect()
    publisher.close()

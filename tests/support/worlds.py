"""A whole installation in a folder, stepped by hand: no threads, no sleep, a clock to steer.

``World(tmp_path, [spec])`` puts the services together exactly as the product does
(``deploy/assembly.py``); ``settle()`` steps consumers and effect workers until nothing has work.
``restart()`` is what a process sees that starts on the files another one left behind.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, inspect, select

from deploy.assembly import Assembly, assemble
from deploy.stores import Kind
from shared import config
from shared.application import Done, Order
from shared.clock import MachineClock
from shared.consumers import Consumer
from shared.consumers.effects import EffectWorker
from shared.happened import Happened
from shared.rpc import OWNER, CallContext
from shared.spec import ServiceSpec
from shared.stores import Store

# With PBXIM_TEST_STORES=postgresql every installation's stores lie in a database of its own.
STORES = os.environ.get("PBXIM_TEST_STORES", "sqlite")
START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class SteeredClock(MachineClock):
    """Machine time that stands still until a test moves it."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        """The instant it was moved to, UTC."""
        return self.at

    def forward(self, **by: float) -> None:
        """Moves on: ``forward(minutes=10)``."""
        self.at += timedelta(**by)


def context(account_id: str = "acct_1", *, key: str = "", **more: Any) -> CallContext:
    """Who calls: an owner of the account, unless said otherwise."""
    known: dict[str, Any] = {"actor": "user:u_1", "roles": (OWNER,), "correlation_id": "req_1"}
    return CallContext(account_id=account_id, key=key, **(known | more))


def order(command: object, *, by: str | uuid.UUID | None = None, now: datetime = START) -> Order:
    """A command on its way. ``by`` names its id; the same name is the same command."""
    named = uuid.uuid5(uuid.NAMESPACE_OID, by) if isinstance(by, str) else by or uuid.uuid4()
    return Order(
        command=command, command_id=named, now=now, actor="user:u_1", correlation_id="req_1"
    )


def stores_of(folder: Path) -> dict[str, str]:
    """The setting that other processes need to find an installation's stores."""
    return {"PBXIM_DATABASE": _database_of(folder)} if STORES == "postgresql" else {}


def _database_of(folder: Path) -> str:
    # A folder that was copied has a database that was copied: a file in it says whose it is.
    from tests.support.postgres import server

    note = folder / "stores"
    owner, _, name = note.read_text().partition("\n") if note.exists() else ("", "", "")
    if owner != str(folder):
        name = server().store_database(*filter(None, [name]))
        folder.mkdir(0o700, parents=True, exist_ok=True)
        note.write_text(f"{folder}\n{name}")
    return server().address(name)


class World:
    """One installation. ``environ``: settings by their names without ``PBXIM_``, in lower case."""

    def __init__(
        self,
        folder: Path,
        specs: Sequence[ServiceSpec] = (),
        *,
        machine: SteeredClock | None = None,
        **environ: str,
    ) -> None:
        self.folder = folder
        self.machine = machine or SteeredClock()
        self._made = (specs, environ)
        if STORES == "postgresql":
            environ = {"database": _database_of(folder)} | environ
        named = {f"PBXIM_{name.upper()}": found for name, found in environ.items()}
        settings = config.load({"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(folder)} | named)
        self.assembly: Assembly = assemble(settings, specs, self.machine)
        self.runtime = self.assembly.runtime
        self.application = self.runtime.application
        self.log = self.application.log
        self.feed = self.assembly.feed
        self.engine = self.assembly.engine
        self.client = self.assembly.client
        self.state = self._all_of("state", self.runtime.state)
        self.views = self._all_of("views", self.runtime.views)

    def settle(self) -> None:
        """Steps everything until nothing has work."""
        self.assembly.settle()

    def execute(self, command: object, *, by: str | uuid.UUID | None = None) -> Done:
        """Runs one command now. ``by`` names its id."""
        return self.application.execute(order(command, by=by, now=self.runtime.clock.now()))

    def consumer(self, name: str) -> Consumer:
        """A consumer by its name: ``policy:orders``, ``effects:billing``, ``stock``."""
        (found,) = (c for c in self.engine.consumers if c.name == name)
        return found

    def worker(self, service: str, n: int = 0) -> EffectWorker:
        """One of a service's effect workers."""
        return self.assembly.workers[service][n]

    def happened(self, *types: type) -> list[Happened]:
        """What the log holds, in order; only these types of event, if any are named."""
        return [e for e in self._all() if not types or isinstance(e.message, types)]

    def messages(self, *types: type) -> list[Any]:
        """The events themselves."""
        return [e.message for e in self.happened(*types)]

    def restart(self, specs: Sequence[ServiceSpec] | None = None) -> World:
        """Another process on the same files: nothing of the old one's memory is left."""
        before, environ = self._made
        self.close()
        chosen = before if specs is None else specs
        return World(self.folder, chosen, machine=self.machine, **environ)

    def close(self) -> None:
        """Lets go of the files."""
        self.assembly.close()
        self.state.close()
        self.views.close()

    def state_as_it_lies(self) -> bytes:
        """Every byte of the state of all services."""
        if self.assembly.settings.database is None:
            return b"".join(path.read_bytes() for path in self.folder.glob("state.db*"))
        found = MetaData()
        with self.state.read() as connection:
            schemas = inspect(connection).get_schema_names()
            for schema in (name for name in schemas if name.startswith("state_")):
                found.reflect(connection, schema=schema)
            rows = [connection.execute(select(t)).all() for t in found.sorted_tables]
        return repr(rows).encode()

    def _all_of(self, kind: Kind, of_gateway: Store) -> Store:
        # Tests look into the tables of every service.
        address = self.assembly.settings.database
        if address is None:
            return of_gateway
        from tests.support.stores import AllSchemas

        return AllSchemas(address, kind, [spec.name for spec in self.assembly.specs])

    def _all(self) -> Iterator[Happened]:
        position = 0
        while stored := self.log.read_all(position, 1000):
            yield from map(self.feed.wrap, stored)
            position = stored[-1].position

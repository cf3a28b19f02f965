"""What the services of a process stand on: log, stores, keys, clocks. Built once, at the start.

In files all services of a process share their stores; in PostgreSQL each has its own (stores.py).
Nothing connects before ``Ground`` is made.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Sequence

from deploy.stores import KEYS, Kind, open_store
from shared import sealing
from shared.application import Application, Order
from shared.clock import BusinessClock, Clock
from shared.codec import Codec
from shared.config import Settings
from shared.eventlog import EventLog
from shared.eventlog.sqlite import SqliteLog
from shared.ids import command_id
from shared.platform import PLATFORM, StartInstallation
from shared.refusals import refusal
from shared.runtime import Progress, Runtime
from shared.spec import ServiceSpec
from shared.stores import Store, StoredKeyring


def all_specs() -> tuple[ServiceSpec, ...]:
    """The services of the product, but for the gateway."""
    from services import billing, inventory, orders, porting, routing

    return tuple(s.spec() for s in (inventory, orders, routing, porting, billing))


def make_folder(settings: Settings) -> None:
    """Makes the data folder if it is not there, for nobody else to read. Raises ``setting_invalid``
    where that cannot be."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=settings.data).close()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise refusal("storage_full", f"There is no room in {settings.data}.") from error
        allowed = "allowed is a folder that can be made and written"
        detail = f"PBXIM_DATA is '{settings.data}' ({error.strerror}); {allowed}."
        raise refusal("setting_invalid", detail, param="PBXIM_DATA") from error


def open_log(settings: Settings, on_append: Callable[[], None] | None = None) -> EventLog:
    """The event log that the settings name. Raises ``Unavailable`` and ``log_not_migrated``, and
    ``setting_invalid`` where what the log needs is not installed."""
    if settings.log.startswith("postgresql:"):
        from shared.eventlog.postgres import PostgresLog

        return PostgresLog(settings.log, on_append)
    if settings.log.startswith("kurrentdb"):
        return _open_kurrentdb(settings.log, on_append)
    return SqliteLog(settings.data / "log.db", on_append)


def _open_kurrentdb(address: str, on_append: Callable[[], None] | None) -> EventLog:
    try:
        from shared.eventlog.kurrentdb import KurrentLog
    except ModuleNotFoundError as error:
        said = f"PBXIM_LOG names KurrentDB, and {error.name} is not installed."
        todo = "Install what requirements-kurrentdb.txt names."
        raise refusal("setting_invalid", f"{said} {todo}", param="PBXIM_LOG") from error
    return KurrentLog(address, on_append)


class Ground:
    """Log, application, stores and clocks of one process. ``specs`` name all services whose streams
    it reads or writes, the others' included that it only asks.

    Raises ``setting_invalid``, ``log_of_other_mode``, ``log_not_migrated``, ``Unavailable``.
    """

    def __init__(
        self,
        settings: Settings,
        specs: Sequence[ServiceSpec],
        machine: Clock,
        progress: Progress,
        on_append: Callable[[], None] | None = None,
    ) -> None:
        make_folder(settings)
        self.settings = settings
        self.machine = machine
        self.clock = BusinessClock(machine)
        self.progress = progress
        self._stores: dict[tuple[Kind, str], Store] = {}
        self._processes = {k: v for spec in specs for k, v in spec.processes.items()}
        master = sealing.load_key_file(settings.key_file, create=settings.sandbox)
        codec = Codec(StoredKeyring(self.store("state", KEYS), master))
        aggregates = [a for spec in specs for a in spec.aggregates]
        self.log = open_log(settings, on_append)
        self.application = Application(self.log, codec, [PLATFORM, *aggregates])
        self._start_installation()

    def store(self, kind: Kind, service: str) -> Store:
        """A service's store: the same object for the same place."""
        place = (kind, service if self.settings.database else "")
        if place not in self._stores:
            self._stores[place] = open_store(self.settings, *place)
        return self._stores[place]

    def runtime(self, service: str) -> Runtime:
        """The surroundings of one service."""
        return Runtime(
            settings=self.settings,
            application=self.application,
            state=self.store("state", service),
            views=self.store("views", service),
            clock=self.clock,
            machine=self.machine,
            progress=self.progress,
            processes=self._processes,
        )

    def close(self) -> None:
        """Lets go of files and connections."""
        self.log.close()
        for store in self._stores.values():
            store.close()

    def _start_installation(self) -> None:
        order = Order(
            command=StartInstallation(mode=self.settings.mode),
            command_id=command_id("installation", self.settings.mode),
            now=self.clock.now(),
            actor="system",
            correlation_id="installation",
        )
        self.application.execute(order)
        state = self.application.load(PLATFORM, "installation")
        # A command recorded earlier is answered without being judged again, so judge the mode here.
        PLATFORM.decide(order.command, state)
        self.clock.learn(state.offset)

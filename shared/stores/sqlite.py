"""A store in a file. Writers of one process take turns by a lock, so that SQLite never answers
"locked"; readers never wait."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Row,
    Select,
    Table,
    create_engine,
    event,
    inspect,
)
from sqlalchemy.exc import OperationalError

from shared.errors import raise_because
from shared.eventlog.sqlite import translate

_BUSY_SECONDS = 30
_LEAST_ROOM = 4 * 1024 * 1024  # One write-ahead log, as long as SQLite lets it grow.


class SqliteStore:
    """A ``Store`` in a file."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._path = path
        self._lock = _lock_of(path)
        self.engine = _engine(path, "FULL" if durable else "NORMAL")
        self._writer: Connection | None = None
        self._made: set[MetaData] = set()

    def create(self, metadata: MetaData) -> None:
        """See ``Store.create``."""
        with self._lock, _translated():
            if metadata not in self._made:  # Many consumers want the same tables.
                metadata.create_all(self.engine)
                self._made.add(metadata)

    def remake(self, connection: Connection, metadata: MetaData) -> None:
        """See ``Store.remake``."""
        metadata.drop_all(connection)
        metadata.create_all(connection)

    @contextlib.contextmanager
    def write(self, *, lazily: bool = False) -> Iterator[Connection]:  # noqa: ARG002  # One file.
        """See ``Store.write``. The disk is waited for whatever is said: it is for all of a file."""
        with self._lock, _translated():
            if self._writer is None:
                self._writer = self.engine.connect()
            raw = _raw(self._writer)
            raw.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """See ``Store.read``."""
        with _translated(), self.engine.connect() as connection:
            raw = _raw(connection)
            raw.execute("BEGIN")
            try:
                yield connection
            finally:
                raw.execute("ROLLBACK")

    def ask(
        self, query: Select[Any], values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """See ``Store.ask``."""
        with _translated(), self.engine.connect() as connection:
            return connection.execute(query, values or {}).all()

    def has(self, connection: Connection, metadata: MetaData) -> bool:
        """See ``Store.has``."""
        return all(inspect(connection).has_table(table.name) for table in metadata.sorted_tables)

    def draft(self) -> SqliteStore:
        """See ``Store.draft``. A second file: its writers do not keep the readers' file busy."""
        return SqliteStore(draft_of(self._path), durable=False)

    def take_draft(self, connection: Connection, metadata: MetaData) -> None:
        """See ``Store.take_draft``. Copies the rows: readers of a file never wait for a writer."""
        self.remake(connection, metadata)
        with contextlib.closing(self.draft()) as draft, draft.read() as filled:
            for table in metadata.sorted_tables:
                _copy(table, _raw(filled), _raw(connection))

    def close(self) -> None:
        """See ``Store.close``."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.engine.dispose()


_locks: WeakValueDictionary[Path, Any] = WeakValueDictionary()
_registry = threading.Lock()


def _lock_of(path: Path) -> Any:
    # One of this process for a file, however many stores have it open.
    with _registry:
        return _locks.setdefault(path.resolve(), threading.RLock())


def draft_of(path: Path) -> Path:
    """Where the draft of a store lies."""
    return path.with_name(f"{path.name}.draft")


def _copy(table: Table, source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" for _ in table.columns)
    rows = source.execute(f'SELECT {names} FROM "{table.name}"')  # nosec B608  # Our own words.
    into = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # nosec B608  # As above.
    target.executemany(into, rows)


def has_room(folder: Path) -> bool:
    """Whether the files of a folder can grow. Asked of the disk, so it is true again by itself."""
    return shutil.disk_usage(folder).free >= _LEAST_ROOM


def _raw(connection: Connection) -> sqlite3.Connection:
    # Transactions are ours (BEGIN IMMEDIATE); SQLAlchemy is in autocommit and does not add its own.
    driver: Any = connection.connection.driver_connection
    return cast("sqlite3.Connection", driver)


def _engine(path: Path, synchronous: str) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=64,
        max_overflow=64,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "timeout": _BUSY_SECONDS,
            "check_same_thread": False,
            "isolation_level": None,
        },
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # As in the log.

    return engine


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        told = translate(error.orig) if isinstance(error.orig, sqlite3.OperationalError) else error
        raise_because(error if told is error.orig else told, error)
    except sqlite3.OperationalError as error:
        raise_because(translate(error), error)

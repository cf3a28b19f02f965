"""The two stores beside the log: ``state`` (must not be lost) and ``views`` (disposable).

SQLAlchemy Core over SQLite here. No transaction spans two stores. Writers of one process take
turns by a lock, so that SQLite never answers "locked"; readers never wait.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import OperationalError

from shared import sealing
from shared.clock import MachineClock
from shared.eventlog.sqlite import translate

_BUSY_SECONDS = 30
_LEAST_ROOM = 4 * 1024 * 1024  # One write-ahead log, as long as SQLite lets it grow.


class Store:
    """A database of our own tables. ``durable`` means: what was committed survives a power cut."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._lock = threading.RLock()
        self.engine = _engine(path, "FULL" if durable else "NORMAL")
        self._writer: Connection | None = None

    def create(self, metadata: MetaData) -> None:
        """Makes the tables that are not there yet."""
        with self._lock, _translated():
            metadata.create_all(self.engine)

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: all of it or nothing. Raises ``storage_full`` and ``busy``."""
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
        """A consistent look at the store; it does not wait for writers."""
        with _translated(), self.engine.connect() as connection:
            raw = _raw(connection)
            raw.execute("BEGIN")
            try:
                yield connection
            finally:
                raw.execute("ROLLBACK")

    def close(self) -> None:
        """Closes every connection."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.engine.dispose()


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
        if isinstance(error.orig, sqlite3.OperationalError):
            raise translate(error.orig) from error
        raise
    except sqlite3.OperationalError as error:
        raise translate(error) from error


KEYS = MetaData()
_subject_key = Table(
    "subject_key",
    KEYS,
    Column("subject", String, primary_key=True),
    Column("wrapped", LargeBinary),  # NULL: destroyed.
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("destroyed_at", DateTime(timezone=True)),
)


class StoredKeyring:
    """A ``Keyring`` whose wrapped keys lie in the state store."""

    def __init__(self, state: Store, master: bytes) -> None:
        self._state = state
        self._wrapper = sealing.Wrapper(master)
        self._known: dict[str, bytes] = {}
        state.create(KEYS)
        self._check_master()

    def _check_master(self) -> None:
        # At the start, and not when the first name is to be read.
        sample = select(_subject_key).where(_subject_key.c.wrapped.is_not(None)).limit(1)
        with self._state.read() as connection:
            row = connection.execute(sample).first()
        if row is not None:
            self._wrapper.unwrap(row.subject, row.wrapped)

    def key(self, subject: str) -> bytes | None:
        """See ``Keyring.key``."""
        if subject not in self._known:
            with self._state.read() as connection:
                row = connection.execute(_row_of(subject)).first()
            if row is None or row.wrapped is None:
                return None
            self._known[subject] = self._wrapper.unwrap(subject, row.wrapped)
        return self._known[subject]

    def make_key(self, subject: str) -> bytes | None:
        """See ``Keyring.make_key``. Two makers at once end up with the same key."""
        if subject in self._known:
            return self._known[subject]
        with self._state.write() as connection:
            if connection.execute(_row_of(subject)).first() is None:
                wrapped = self._wrapper.wrap(subject, sealing.new_key())
                row = {"subject": subject, "wrapped": wrapped, "made_at": MachineClock().now()}
                connection.execute(insert(_subject_key).values(row))
        return self.key(subject)

    def destroy(self, subject: str) -> None:
        """Erases the person: from now on their fields read as ``Erased``."""
        now = MachineClock().now()
        gone = {"wrapped": None, "destroyed_at": now}
        with self._state.write() as connection:
            where = _subject_key.c.subject == subject
            done = connection.execute(update(_subject_key).where(where).values(gone))
            if not done.rowcount:  # Nothing was sealed yet, and nothing will be.
                connection.execute(
                    insert(_subject_key).values(subject=subject, made_at=now, **gone)
                )
        self._known.pop(subject, None)


def _row_of(subject: str) -> Any:
    return select(_subject_key).where(_subject_key.c.subject == subject)

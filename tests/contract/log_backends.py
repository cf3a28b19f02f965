"""The event log's backends, as the contract suite sees them. A new backend is one entry here.

``make`` prepares an empty log in a folder (or a schema, or a server's namespace) and answers with
its address: plain text, so that other processes can be told it. ``open`` opens it, as a process
would. The optional parts are promises that not every backend makes; their tests run where they are.
"""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shared.eventlog import EventLog, Recorded
from shared.eventlog.sqlite import SqliteLog
from tests.support import kurrentdb
from tests.support.postgres import OWNER, server


@dataclass(frozen=True)
class Backend:
    """One backend. ``tamper`` runs a statement behind its back; every one of ``changes`` must be
    refused with "events are for ever". Each of ``without_room`` takes
    away the space in which an open log could grow, while its context lasts. ``kills`` writers are
    killed: where writing is done by a server, a few."""

    name: str
    make: Callable[[Path], str]
    open: Callable[[str], EventLog]
    tamper: Callable[[str, str], None] | None = None
    changes: tuple[str, ...] = ()
    without_room: tuple[Callable[[EventLog, str], AbstractContextManager[None]], ...] = ()
    kills: int = 16


def _make_sqlite(folder: Path) -> str:
    return str(folder / "log.db")


def _open_sqlite(address: str) -> SqliteLog:
    return SqliteLog(Path(address))


def _tamper_sqlite(address: str, statement: str) -> None:
    with closing(sqlite3.connect(address)) as connection, connection:
        connection.execute(statement)


@contextmanager
def _no_more_pages(log: EventLog, _address: str) -> Iterator[None]:
    """SQLite itself says that the database is full (SQLITE_FULL, as on ENOSPC)."""
    assert isinstance(log, SqliteLog)
    writer = log._writer  # The limit belongs to a connection.
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        writer.execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def _no_longer_files(_log: EventLog, address: str) -> Iterator[None]:
    """The operating system refuses to write (SQLITE_IOERR_WRITE, as with a quota)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    longest = max(Path(address).stat().st_size, Path(f"{address}-wal").stat().st_size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest + 100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _make_postgres(_folder: Path) -> str:
    found = server()
    return found.address(found.log_database())


def _open_postgres(address: str) -> EventLog:
    from shared.eventlog.postgres import PostgresLog

    return PostgresLog(address, connections=4)


def _as_owner(address: str, statement: str) -> None:
    found = server()
    found.say(f"SET search_path = log; {statement}", urlsplit(address).path[1:], OWNER)


@contextmanager
def _server_says_full(_log: EventLog, address: str) -> Iterator[None]:
    """The server cannot extend a file for a large event (SQLSTATE 53100, as on ENOSPC)."""
    body = "BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END"
    _as_owner(
        address,
        f"CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$;"
        "CREATE TRIGGER no_room BEFORE INSERT ON event FOR EACH ROW"
        " WHEN (length(NEW.payload) > 10000) EXECUTE FUNCTION no_room()",
    )
    try:
        yield
    finally:
        _as_owner(address, "DROP FUNCTION no_room CASCADE")


def _make_kurrentdb(_folder: Path) -> str:
    return kurrentdb.server().address()


def _make_real_kurrentdb(_folder: Path) -> str:
    return kurrentdb.real_address()


def _open_kurrentdb(address: str) -> EventLog:
    from shared.eventlog.kurrentdb import KurrentLog

    return KurrentLog(address)


_COLUMNS = ", ".join(Recorded._fields)
_MOVED = _COLUMNS.replace("position", "position + 9")
_RENAMED = _COLUMNS.replace("stream", "'other-1'")
_CHANGES = (
    "UPDATE event SET payload = payload WHERE position = 1",
    "UPDATE event SET type = 'Other'",
    "DELETE FROM event WHERE position = 2",
    "DELETE FROM event",
)
_SQLITE_CHANGES = (
    *_CHANGES,
    "INSERT OR REPLACE INTO event SELECT * FROM event WHERE position = 1",
    f"INSERT OR REPLACE INTO event SELECT {_MOVED} FROM event WHERE position = 1",
    f"INSERT OR REPLACE INTO event SELECT {_RENAMED} FROM event WHERE position = 1",
)
_POSTGRES_CHANGES = (
    *_CHANGES,
    "TRUNCATE event",
    "TRUNCATE event, head, stream",
    "INSERT INTO event TABLE event ON CONFLICT (position) DO UPDATE SET type = 'Other'",
    "UPDATE head SET position = 1",
    "UPDATE head SET log_id = 'other'",
    "DELETE FROM head",
    "UPDATE stream SET version = 1",
    "DELETE FROM stream",
)

BACKENDS = (
    Backend(
        name="sqlite",
        make=_make_sqlite,
        open=_open_sqlite,
        tamper=_tamper_sqlite,
        changes=_SQLITE_CHANGES,
        without_room=(_no_more_pages, _no_longer_files),
    ),
    Backend(
        name="postgres",
        make=_make_postgres,
        open=_open_postgres,
        tamper=_as_owner,
        changes=_POSTGRES_CHANGES,
        without_room=(_server_says_full,),
    ),
    # No way to change events behind its back, and a full disk ends the server itself.
    Backend(name="kurrentdb", make=_make_kurrentdb, open=_open_kurrentdb, kills=5),
)
if kurrentdb.REAL:
    BACKENDS += (Backend("kurrentdb_real", make=_make_real_kurrentdb, open=_open_kurrentdb),)
BY_NAME = {backend.name: backend for backend in BACKENDS}

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

from shared.eventlog import EventLog
from shared.eventlog.sqlite import SqliteLog


@dataclass(frozen=True)
class Backend:
    """One backend. ``tamper`` runs a statement behind its back. Each of ``without_room`` takes
    away the space in which an open log could grow, while its context lasts."""

    name: str
    make: Callable[[Path], str]
    open: Callable[[str], EventLog]
    tamper: Callable[[str, str], None] | None = None
    without_room: tuple[Callable[[EventLog, str], AbstractContextManager[None]], ...] = ()


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


BACKENDS = (
    Backend(
        name="sqlite",
        make=_make_sqlite,
        open=_open_sqlite,
        tamper=_tamper_sqlite,
        without_room=(_no_more_pages, _no_longer_files),
    ),
)
BY_NAME = {backend.name: backend for backend in BACKENDS}

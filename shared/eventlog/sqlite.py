"""The event log in one SQLite file: WAL, ``synchronous=FULL``, positions without gaps.

Writers of one process share commits: whoever gets the lock writes for all who wait, so 16 writers
cost one fsync and not 16. Writers of other processes are kept out by ``BEGIN IMMEDIATE``.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path

from shared.clock import micros_since_epoch
from shared.errors import Broken, raise_because
from shared.eventlog import Appended, Conflict, Entry, NewEvent, Recorded, checked, digest
from shared.eventlog.sharing import Job, SharedCommits
from shared.refusals import refusal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
  position INTEGER PRIMARY KEY, event_id BLOB NOT NULL, stream TEXT NOT NULL,
  version INTEGER NOT NULL, category TEXT NOT NULL, account_id TEXT NOT NULL, type TEXT NOT NULL,
  schema_version INTEGER NOT NULL, payload BLOB NOT NULL, metadata BLOB NOT NULL,
  recorded_at INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS event_stream ON event (stream, version);
CREATE TRIGGER IF NOT EXISTS event_no_update BEFORE UPDATE ON event
  BEGIN SELECT RAISE(ABORT, 'events are for ever'); END;
CREATE TRIGGER IF NOT EXISTS event_no_delete BEFORE DELETE ON event
  BEGIN SELECT RAISE(ABORT, 'events are for ever'); END;
CREATE TRIGGER IF NOT EXISTS event_no_replace BEFORE INSERT ON event
  WHEN NEW.position <= (SELECT max(position) FROM event)
    OR EXISTS (SELECT 1 FROM event WHERE stream = NEW.stream AND version = NEW.version)
  BEGIN SELECT RAISE(ABORT, 'events are for ever'); END;
"""
_COLUMNS = ", ".join(Recorded._fields)
_INSERT = f"INSERT INTO event VALUES ({', '.join('?' * len(Recorded._fields))})"  # nosec B608  # No input.
_BUSY_SECONDS = 30
_WAL_PAGES = 4000  # 16 MB: pages that many commits change are copied into the file once.
_STREAMS_AT_ONCE = 500


class SqliteLog:
    """An ``EventLog`` in a file. Safe for many threads, and for many processes."""

    contiguous = True
    knows_earlier = True

    def __init__(self, path: Path, on_append: Callable[[], None] | None = None) -> None:
        self._path = path
        self._on_append = on_append
        self._commits = SharedCommits(self._commit)
        self._free: deque[sqlite3.Connection] = deque()
        self._opened: list[sqlite3.Connection] = []
        self._writer = self._connect()
        with self._translated():
            self._writer.executescript(_SCHEMA)
            self._writer.execute("INSERT OR IGNORE INTO log VALUES (1, ?)", (str(uuid.uuid4()),))
            self.log_id: str = self._writer.execute("SELECT log_id FROM log").fetchone()[0]

    def append_batch(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        """See ``EventLog.append_batch``. Everything in one transaction, shared with others."""
        wanted = checked(entries)
        try:
            return self._commits.append(wanted)
        finally:  # Also a caller who was refused may have written a part, or for others.
            if self._on_append is not None:
                self._on_append()

    def read_stream(self, stream: str) -> list[Recorded]:
        """See ``EventLog.read_stream``."""
        return self._read("WHERE stream = ? ORDER BY version", (stream,))

    def read_streams(self, streams: Iterable[str]) -> dict[str, list[Recorded]]:
        """See ``EventLog.read_streams``."""
        found: dict[str, list[Recorded]] = {}
        for some, marks in _marked(sorted(set(streams))):
            rows = self._read(f"WHERE stream IN ({marks}) ORDER BY stream, version", some)
            found |= {stream: list(group) for stream, group in groupby(rows, lambda r: r.stream)}
        return found

    def read_all(self, after: int, limit: int) -> list[Recorded]:
        """See ``EventLog.read_all``."""
        return self._read("WHERE position > ? ORDER BY position LIMIT ?", (after, limit))

    def read_last(self, limit: int) -> list[Recorded]:
        """See ``EventLog.read_last``."""
        return self._read("ORDER BY position DESC LIMIT ?", (limit,))[::-1]

    def read_at(self, position: int) -> Recorded | None:
        """See ``EventLog.read_at``."""
        rows = self._read("WHERE position = ?", (position,))
        return rows[0] if rows else None

    def head(self) -> int:
        """See ``EventLog.head``."""
        with self._translated(), self._reader() as connection:
            row = connection.execute("SELECT max(position) FROM event").fetchone()
        return int(row[0] or 0)

    def close(self) -> None:
        """Closes every connection."""
        for connection in self._opened:
            connection.close()

    def _commit(self, jobs: Sequence[Job]) -> None:
        with self._translated(), self._transaction() as connection:
            _Commit(connection, jobs).run()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield self._writer
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _read(self, tail: str, parameters: Sequence[object]) -> list[Recorded]:
        query = f"SELECT {_COLUMNS} FROM event {tail}"  # nosec B608  # Our own words.
        with self._translated(), self._reader() as connection:
            return list(map(Recorded._make, connection.execute(query, parameters)))

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        # Not one per thread: threads come and go, and in a nameko process each call is a new one.
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._free.append(connection)

    def _connect(self) -> sqlite3.Connection:
        with self._translated():
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        self._opened.append(connection)
        return connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise_because(translate(error), error)


def _marked(names: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    rest = iter(names)
    while some := list(islice(rest, _STREAMS_AT_ONCE)):
        yield some, ", ".join("?" * len(some))


def translate(error: sqlite3.OperationalError) -> Exception:
    """SQLite's own errors → ours; what is not one of the known ones stays as it is."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # SQLITE_IOERR_WRITE is an SQLITE_IOERR.
    if primary in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return refusal("storage_full", "The data cannot grow: the disk is full.")
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return refusal("busy", "The data is locked by another writer.")
    return error


class _Commit:
    """One transaction: judges entries on the streams as they are, handing out positions from the
    head on, and writes all rows at once."""

    def __init__(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
        self._connection = connection
        self._jobs = jobs
        found = connection.execute("SELECT max(position) FROM event").fetchone()
        self._head = int(found[0] or 0)
        self._streams = self._load()
        self._rows: list[Recorded] = []

    def run(self) -> None:
        for job in self._jobs:
            try:
                job.outcomes = [self._take(entry) for entry in job.entries]
            except Broken as error:  # This caller's mistake; the others' events are fine.
                job.error = error
        self._connection.executemany(_INSERT, self._rows)

    def _load(self) -> dict[str, dict[bytes, int]]:
        streams: dict[str, dict[bytes, int]] = {e.stream: {} for j in self._jobs for e in j.entries}
        for some, marks in _marked(streams):
            query = f"SELECT stream, event_id, position FROM event WHERE stream IN ({marks})"  # nosec B608  # Marks only.
            for stream, event_id, position in self._connection.execute(query, some):
                streams[stream][event_id] = position
        return streams

    def _take(self, entry: Entry) -> Appended | Conflict:
        known = self._streams[entry.stream]
        found = [known[e.event_id] for e in entry.events if e.event_id in known]
        if len(found) == len(entry.events):
            return Appended(tuple(found), earlier=True)
        if len(known) != entry.expected_version:  # Versions are contiguous from 1.
            return Conflict(entry.stream, entry.expected_version, len(known))
        if found:
            raise refusal("event_id_clash", f"Only a part of the events is in {entry.stream}.")
        return self._add(entry, known)

    def _add(self, entry: Entry, known: dict[bytes, int]) -> Appended:
        rows = list(_rows(self._head, entry, micros_since_epoch()))
        known.update((row.event_id, row.position) for row in rows)
        self._rows += rows
        self._head += len(rows)
        return Appended(tuple(row.position for row in rows))


def _rows(position: int, entry: Entry, now: int) -> Iterator[Recorded]:
    for n, event in enumerate(entry.events, start=1):
        version = entry.expected_version + n
        yield _row(position + n, entry, version, event, now)


def _row(position: int, entry: Entry, version: int, event: NewEvent, now: int) -> Recorded:
    return Recorded(
        position,
        event.event_id,
        entry.stream,
        version,
        entry.category,
        event.account_id,
        event.type,
        event.schema_version,
        event.payload,
        event.metadata,
        now,
        digest(entry.stream, version, entry.category, event),
    )

"""The event log: appends and reads of a filled log, beside bare SQLite on the same rows."""

from __future__ import annotations

import random
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from bench.filling import settings_of
from bench.machine import watch
from bench.report import Figure, check
from bench.run import Run
from deploy.assembly import assemble
from shared.codec import Codec
from shared.eventlog import Appended, Entry, NewEvent, Recorded, digest
from shared.eventlog.sqlite import SqliteLog

_THREADS = 16
_PAGE = 4096
_TURN = 0.25
_COLUMNS = ", ".join(Recorded._fields)
_BARE = """
ATTACH ? AS log;
CREATE TABLE event (
  position INTEGER PRIMARY KEY, event_id BLOB NOT NULL, stream TEXT NOT NULL,
  version INTEGER NOT NULL, category TEXT NOT NULL, account_id TEXT NOT NULL, type TEXT NOT NULL,
  schema_version INTEGER NOT NULL, payload BLOB NOT NULL, metadata BLOB NOT NULL,
  recorded_at INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
INSERT INTO event SELECT * FROM log.event;
CREATE UNIQUE INDEX event_stream ON event (stream, version);
"""


def measure(run: Run) -> list[Figure]:
    """Appends one by one, 100 at a time and by 16 threads; reads and decodes all of it."""
    path = run.folder("usual") / "log.db"
    assembly = assemble(settings_of(path.parent))
    codec = assembly.runtime.application.codec
    with closing(assembly), closing(_bare(path)) as bare:
        log = SqliteLog(path)
        like = log.read_all(log.head() - 2000, 2000)
        begin = log.head()
        appends = list(_appends(log, bare, like, run.seconds(4)))
        _verify(log, path, begin)
        log.close()
        return [*appends, *_reads(SqliteLog(path), codec, path)]


def _connect(path: Path) -> sqlite3.Connection:
    bare = sqlite3.connect(path, isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    return bare


def _bare(path: Path) -> sqlite3.Connection:
    # The same rows in the same table with the same index: what remains are our rules.
    bare = _connect(path.with_name("bare.db"))
    for statement in _BARE.split(";\n"):
        bare.execute(statement, (str(path),) if "?" in statement else ())
    bare.execute("DETACH log")
    return bare


def _appends(
    log: SqliteLog, bare: sqlite3.Connection, like: Sequence[Recorded], seconds: float
) -> Iterator[Figure]:
    for at_once, aim in ((1, 3_000), (100, 25_000)):
        append, insert = partial(_append, log, like, at_once), partial(_insert, bare, like, at_once)
        ours, theirs = _in_turns(seconds, append, insert)
        yield Figure(
            what=f"append, {at_once} per commit",
            value=ours * at_once,
            unit="events/s",
            at_least=aim,
            peer=theirs * at_once,
            peer_is="bare INSERT",
        )
    yield _by_threads(log, like, seconds)


def _in_turns(
    seconds: float, ours: Callable[[], None], theirs: Callable[[], None]
) -> tuple[float, float]:
    """How often a second each can be done, in turns, so that both meet the same machine."""
    calls, spent = [0, 0], [0.0, 0.0]
    for turn in range(max(4, round(2 * seconds / _TURN))):
        work, began = (ours, theirs)[turn % 2], time.perf_counter()
        while time.perf_counter() - began < _TURN:
            work()
            calls[turn % 2] += 1
        spent[turn % 2] += time.perf_counter() - began
    return calls[0] / spent[0], calls[1] / spent[1]


def _append(log: SqliteLog, like: Sequence[Recorded], at_once: int) -> None:
    some = random.sample(like, at_once)
    entries = [Entry(f"bench-{uuid.uuid4().hex}", "bench", 0, (_new(event),)) for event in some]
    outcomes = log.append_batch(entries)
    check(all(isinstance(outcome, Appended) for outcome in outcomes), "an append was refused")


def _new(like: Recorded) -> NewEvent:
    return NewEvent(
        uuid.uuid4().bytes,
        like.account_id,
        like.type,
        like.schema_version,
        like.payload,
        like.metadata,
    )


def _insert(bare: sqlite3.Connection, like: Sequence[Recorded], at_once: int) -> None:
    some = random.sample(like, at_once)
    rows = [(None, e.event_id, f"bench-{uuid.uuid4().hex}", 1, *e[4:]) for e in some]
    bare.execute("BEGIN IMMEDIATE")
    bare.executemany(f"INSERT INTO event VALUES ({', '.join('?' * len(rows[0]))})", rows)
    bare.execute("COMMIT")


def _by_threads(log: SqliteLog, like: Sequence[Recorded], seconds: float) -> Figure:
    def work(_n: int) -> int:
        done = 0
        while time.perf_counter() < end:
            _append(log, like, 1)
            done += 1
        return done

    end = time.perf_counter() + seconds
    with watch() as spent, ThreadPoolExecutor(_THREADS) as pool:
        done = sum(pool.map(work, range(_THREADS)))
    what = f"append, {_THREADS} threads with one event each"
    return Figure(what=what, value=done / spent.seconds, unit="events/s")


def _verify(log: SqliteLog, path: Path, begin: int) -> None:
    with closing(_connect(path)) as bare:
        query = (
            "SELECT count(*), max(position), count(DISTINCT stream) FROM event WHERE position > ?"
        )
        rows, last, streams = bare.execute(query, (begin,)).fetchone()
    check(last == log.head() == begin + rows, "the log has a hole")
    check(streams == rows, "two events were put into one stream")
    for event in log.read_all(max(begin, last - 1000), 1000):
        made = NewEvent(event.event_id, event.account_id, event.type, *event[7:10])
        whole = digest(event.stream, event.version, event.category, made) == event.digest
        check(whole, f"the event at {event.position} is not the one that was appended")


def _reads(log: SqliteLog, codec: Codec, path: Path) -> Iterator[Figure]:
    spent = {"ours": 0.0, "decoding": 0.0, "bare": 0.0}
    with closing(_connect(path)) as bare:
        head = _read_all(log, codec, bare, spent)
    log.close()
    alone, peer = head / spent["ours"], head / spent["bare"]
    both = head / (spent["ours"] + spent["decoding"])
    shared: dict[str, Any] = {"unit": "events/s", "peer": peer, "peer_is": "bare SELECT"}
    yield Figure(what="read", value=alone, **shared)
    note = f"a log of {head:,} events"
    yield Figure(what="read and decode", value=both, at_least=200_000, note=note, **shared)


def _read_all(
    log: SqliteLog, codec: Codec, bare: sqlite3.Connection, spent: dict[str, float]
) -> int:
    query = f"SELECT {_COLUMNS} FROM event WHERE position > ? ORDER BY position LIMIT ?"
    last = 0
    while True:
        began = time.perf_counter()
        page = log.read_all(last, _PAGE)
        spent["ours"] += time.perf_counter() - began
        began = time.perf_counter()
        events = [codec.decode(e.type, e.schema_version, e.payload, e.event_id) for e in page]
        spent["decoding"] += time.perf_counter() - began
        began = time.perf_counter()
        rows = bare.execute(query, (last, _PAGE)).fetchall()
        spent["bare"] += time.perf_counter() - began
        check(rows == page and None not in events, "the events read are not those stored")
        if not page:
            check(last == log.head(), "the log was not read to its end")
            return last
        last = page[-1].position

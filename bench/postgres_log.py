"""The event log in PostgreSQL: appends by 1, 8 and 16 writers and 100 at a time, beside a bare
INSERT of the same row into the same table with the same indexes, and beside the ``eventsourcing``
library, on the same private server."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from bench.library import LibraryLog
from bench.report import Figure, check
from bench.run import Run
from bench.servers import own_servers
from shared.eventlog import Appended, Entry, NewEvent, Recorded, digest
from shared.eventlog.postgres import PostgresLog

_TURNS = 24  # Short ones: a machine that others use changes within seconds.
_FILLED, _BATCH = 50_000, 100
_NAMES = ("bare INSERT", "eventsourcing", "eventsourcing with its functions")
_PAYLOAD = b'{"order_id":"ord_0190b3c4d5e6","lines":[' + b'{"e164":"+441632960000","micros":1},' * 8
_PAYLOAD = _PAYLOAD[:-1] + b"]}"
_METADATA = b'{"command_id":"' + b"0" * 32 + b'","actor":"policy:orders","subjects":["ord_0190"]}'
_COLUMNS = ", ".join(Recorded._fields[1:])
_PEERS = """
CREATE SCHEMA bare;
CREATE TABLE bare.event (LIKE log.event INCLUDING INDEXES INCLUDING CONSTRAINTS);
CREATE SEQUENCE bare.position;
ALTER TABLE bare.event ALTER position SET DEFAULT nextval('bare.position');
GRANT USAGE ON SCHEMA bare TO pbxim_app;
GRANT USAGE ON SEQUENCE bare.position TO pbxim_app;
GRANT INSERT, SELECT ON bare.event TO pbxim_app;
CREATE SCHEMA library AUTHORIZATION pbxim;
CREATE SCHEMA library_functions AUTHORIZATION pbxim;
"""
_INSERT = f"INSERT INTO bare.event ({_COLUMNS}) VALUES %s"


# Writers, events per call, and the aims: of a bare INSERT, and of the library.
_WAYS = ((1, 1, 0.85, 1.5), (8, 1, None, 1.5), (16, 1, None, None), (1, _BATCH, None, None))


def measure(run: Run) -> list[Figure]:
    """Every figure is taken in turns with its peers, on logs that are filled alike."""
    with own_servers(run.work / "servers") as servers:
        say(servers.database("postgres").rpartition("/")[0] + "/pbxim", _PEERS)
        return list(_figures(servers.database(), run.seconds(6)))


def say(address: str, statement: str) -> None:
    """Runs a statement outside of a transaction."""
    with closing(psycopg2.connect(address)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def _figures(address: str, seconds: float) -> Iterator[Figure]:
    with (
        closing(PostgresLog(address)) as log,
        closing(_Bare(address)) as bare,
        closing(LibraryLog(address)) as library,
        closing(LibraryLog(address, functions=True)) as functions,
    ):
        for _ in range(_FILLED // 1000):
            _append(log, 1000)
            bare.insert(1000)
            for one in (library, functions):
                one.append(_states(1000))
        begin = log.head()
        for writers, size, of_bare, of_library in _WAYS:
            works = [
                partial(_append, log, size),
                partial(bare.insert, size),
                partial(library.append, _states(size)),
                partial(functions.append, _states(size)),
            ]
            ours, *peers = (rate * size for rate in _in_turns(seconds, writers, works))
            yield from _compared(writers, size, ours, peers, (of_bare, of_library, None))
        _verify(log, begin)


def _compared(
    writers: int,
    size: int,
    ours: float,
    peers: Sequence[float],
    aims: Sequence[float | None],
) -> Iterator[Figure]:
    many = f"{writers} threads" if writers > 1 else "1 writer"
    for peer, name, aim in zip(peers, _NAMES, aims, strict=True):
        yield Figure(
            what=f"PostgreSQL: append, {many}, {size} per call",
            value=ours,
            unit="events/s",
            at_least=aim and aim * peer,
            peer=peer,
            peer_is=name,
        )


def _in_turns(seconds: float, writers: int, works: Sequence[Callable[[], object]]) -> list[float]:
    """Calls per second of each, in turns, so that all meet the same machine."""
    done, spent = [0] * len(works), [0.0] * len(works)
    with ThreadPoolExecutor(writers) as pool:
        for turn in range(len(works) * _TURNS):
            which, began = turn % len(works), time.perf_counter()
            end = began + seconds / _TURNS
            done[which] += sum(pool.map(_until, [end] * writers, [works[which]] * writers))
            spent[which] += time.perf_counter() - began
    return [count / taken for count, taken in zip(done, spent, strict=True)]


def _until(end: float, work: Callable[[], object]) -> int:
    done = 0
    while time.perf_counter() < end:
        work()
        done += 1
    return done


def _new() -> tuple[str, NewEvent]:
    event = NewEvent(uuid.uuid4().bytes, "acct_0190", "OrderPlaced", 1, _PAYLOAD, _METADATA)
    return f"bench-{uuid.uuid4().hex}", event


def _states(size: int) -> list[bytes]:
    return [_PAYLOAD + _METADATA] * size


def _append(log: PostgresLog, size: int) -> None:
    entries = [
        Entry(stream, "bench", 0, (event,)) for stream, event in (_new() for _ in range(size))
    ]
    outcomes = log.append_batch(entries)
    check(all(isinstance(outcome, Appended) for outcome in outcomes), "an append was refused")


class _Bare:
    """Rows as they are, each call a commit, a connection per thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._local = threading.local()
        self._opened: list[Any] = []

    def insert(self, size: int) -> None:
        rows = [_row(*_new()) for _ in range(size)]
        with self._connection().cursor() as cursor:
            execute_values(cursor, _INSERT, rows, page_size=size)
            check(cursor.rowcount == size, "a row was not written")

    def close(self) -> None:
        for connection in self._opened:
            connection.close()

    def _connection(self) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = psycopg2.connect(self._address)
            self._local.connection.autocommit = True
            self._opened.append(self._local.connection)
        return self._local.connection


def _row(stream: str, event: NewEvent) -> Sequence[object]:
    whole = digest(stream, 1, "bench", event)
    binary = psycopg2.Binary
    return (
        binary(event.event_id),
        stream,
        1,
        "bench",
        event.account_id,
        event.type,
        event.schema_version,
        binary(event.payload),
        binary(event.metadata),
        time.time_ns() // 1000,
        binary(whole),
    )


def _verify(log: PostgresLog, begin: int) -> None:
    last, streams = begin, set[str]()
    while page := log.read_all(last, 4096):
        check([e.position for e in page] == list(range(last + 1, last + 1 + len(page))), "a hole")
        streams.update(event.stream for event in page)
        last = page[-1].position
        made = NewEvent(page[-1].event_id, page[-1].account_id, page[-1].type, *page[-1][7:10])
        whole = digest(page[-1].stream, page[-1].version, "bench", made)
        check(whole == page[-1].digest, "an event is not the one that was appended")
    check(last == log.head(), "the log was not read to its end")
    check(len(streams) == last - begin, "two events were put into one stream")

"""Read models in PostgreSQL, built from the log alone: one row per number beside the
``eventsourcing`` library's projection, and all of the product's."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from sqlalchemy import Column, Integer, MetaData, String, Table, select

from bench import library
from bench.filling import Filler
from bench.folders import SHARE
from bench.machine import watch
from bench.many_processes import settings_for
from bench.postgres_log import say
from bench.rebuild import catch_up, seconds_of_reading, verify
from bench.report import Figure, check
from bench.run import Run
from bench.servers import own_servers
from bench.stock import file_blocks
from deploy.assembly import Assembly, assemble
from deploy.stores import throw_views_away
from deploy.up.servers import Servers
from shared.application import Application
from shared.codec import Codec, Meta, encode_meta
from shared.consumers import checkpoints
from shared.consumers.checkpoints import Checkpoint
from shared.consumers.feed import Feed
from shared.consumers.projections import Projection, ProjectionConsumer
from shared.consumers.rows import Key, Rows
from shared.eventlog import Entry, NewEvent, Recorded
from shared.happened import Happened
from shared.messages import event
from shared.runtime import Runtime

_STATUSES = ("held", "active", "cancelled")
_CHANGES = ("new", *_STATUSES)
_FEW = 400  # For the library: an event is a transaction.
_LIBRARY = "CREATE SCHEMA library AUTHORIZATION pbxim"
_TABLES = MetaData()
_NUMBER = Table(
    "bench_number",
    _TABLES,
    Column("number", String, primary_key=True),
    Column("status", String, nullable=False),
    Column("changes", Integer, nullable=False),
)


@event("BenchNumberChanged")
class NumberChanged:
    """A number became something."""

    number: str
    status: str


def measure(run: Run) -> list[Figure]:
    """One row per number first, then all views of a filled log."""
    data = run.work / "used" / "postgres-views"
    with own_servers(data / "up") as servers:
        settings = settings_for(data, servers)
        filler, stock = Filler(data, settings=settings), file_blocks()
        filler.add_accounts(run.sizes.accounts)
        filler.add_stock(stock)
        filler.buy(run.sizes.purchases // 4, stock, SHARE)
        filler.close()
        throw_views_away(settings)
        with closing(assemble(settings)) as assembly:
            return [_all(assembly), *_one(assembly, servers, run.sizes.purchases // 4)]


def _all(assembly: Assembly) -> Figure:
    head = assembly.runtime.application.log.head()
    reading = seconds_of_reading(assembly)
    with watch() as spent:
        catch_up(assembly)
    verify(assembly)
    return Figure(
        what="PostgreSQL: rebuild of all views, in one process",
        value=head / spent.seconds,
        unit="events/s",
        at_least=12_000,
        peer=head / reading,
        peer_is="only reading and decoding",
        note=f"{len(assembly.projections())} views from {head:,} events",
    )


def _one(assembly: Assembly, servers: Servers, numbers: int) -> Iterator[Figure]:
    names = [f"+1555{n:07}" for n in range(numbers)]
    wanted = [(name, _STATUSES[-1], len(_STATUSES)) for name in names]
    begin = _write(assembly.runtime.application, names)
    ours, rows = _fold(assembly.ground.runtime("orders"), begin)
    check(rows == wanted, "our read model has other rows")
    few = names[:_FEW]
    say(servers.database("postgres").rpartition("/")[0] + "/pbxim", _LIBRARY)
    written = library.write(servers.database(), few, _STATUSES)
    began = time.perf_counter()
    found = library.project(servers.database(), written)
    theirs = written / (time.perf_counter() - began)
    check(found == wanted[: len(few)], "the library's read model has other rows")
    events = numbers * len(_CHANGES)
    yield Figure(
        what="PostgreSQL: rebuild of a read model of one row per number",
        value=events / ours,
        unit="events/s",
        at_least=25 * theirs,
        peer=theirs,
        peer_is="eventsourcing",
        note=f"{events:,} events of ours, {written:,} of the library's",
    )


def _write(application: Application, names: list[str]) -> Recorded:
    """Answers with the event before the first one written."""
    (begin,) = application.log.read_last(1)
    for first in range(0, len(names), 500):
        some = [_entry(application.codec, name) for name in names[first : first + 500]]
        application.log.append_batch(some)
    return begin


def _entry(codec: Codec, name: str) -> Entry:
    return Entry(f"bench-{name}", "bench", 0, tuple(_new(codec, name, s) for s in _CHANGES))


def _new(codec: Codec, name: str, status: str) -> NewEvent:
    made, now = uuid.uuid4(), datetime.now(UTC)
    meta = Meta(command_id=made, correlation_id="bench", actor="bench", occurred_at=now)
    payload = codec.encode(NumberChanged(number=name, status=status), made.bytes)
    return NewEvent(made.bytes, "", "BenchNumberChanged", 1, payload, encode_meta(meta))


def _fold(runtime: Runtime, begin: Recorded) -> tuple[float, list[tuple[str, str, int]]]:
    # A feed of its own: nothing is in memory.
    log = runtime.application.log
    feed = Feed(log, runtime.application.codec)
    projection = Projection("bench_numbers", 1, _TABLES, (NumberChanged,), _take, _touched)
    with runtime.views.write() as connection:  # What is before is the business of others.
        place = Checkpoint(begin.position, begin.event_id, log.log_id)
        checkpoints.move(connection, projection.name, None, place)
    one = ProjectionConsumer(projection, feed, runtime.views)
    with watch() as spent:
        while one.step():
            pass
    check(one.failure is None, f"our read model stopped: {one.failure}")
    with runtime.views.read() as connection:
        asked = select(_NUMBER).order_by(_NUMBER.c.number)
        rows = [tuple(row) for row in connection.execute(asked)]
    return spent.seconds, rows


def _take(happened: Happened, rows: Rows) -> None:
    said: NumberChanged = happened.message
    if rows.get(_NUMBER, said.number) is None:
        rows.put(_NUMBER, {"number": said.number, "status": said.status, "changes": 0})
    else:
        row = rows.change(_NUMBER, said.number)
        row.update(status=said.status, changes=row["changes"] + 1)


def _touched(said: NumberChanged) -> Iterator[tuple[Table, Key]]:
    yield _NUMBER, (said.number,)

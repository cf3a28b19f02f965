"""All views anew from the log alone, beside reading and decoding the same log."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copy
from typing import Any

from sqlalchemy import func, select

from bench.filling import settings_of
from bench.machine import Stopwatch, watch
from bench.report import Figure, check
from bench.run import Run
from deploy.assembly import Assembly, assemble
from services.billing.projections import charge
from services.inventory.projections import block, offer, taken
from services.orders.projections import customer_order, tenure
from services.porting.projections import our_number
from services.routing.projections import route
from shared.consumers.rows import Rows
from shared.eventlog import Entry, NewEvent, Recorded
from shared.eventlog.sqlite import SqliteLog

_SAMPLE = 12_000
_PAGE = 4096


def measure(run: Run) -> list[Figure]:
    """Rebuilds every projection of every service and of its timers."""
    folder = run.folder("long")
    _compare_with_live(folder, run.work / "used" / "live", 3_000 if run.quick else _SAMPLE)
    for path in folder.glob("views.db*"):
        path.unlink()
    with closing(assemble(settings_of(folder))) as assembly:
        head = assembly.runtime.application.log.head()
        reading = seconds_of_reading(assembly)
        with watch() as spent, _watch_writing() as writing:
            catch_up(assembly)
        rows = sum(one.rows_written for one in assembly.projections())
        verify(assembly)
    return [
        Figure(
            what="rebuild of all views",
            value=head / spent.seconds,
            unit="events/s",
            at_least=20_000,
            peer=head / reading,
            peer_is="only reading and decoding",
            note=f"{len(assembly.projections())} views from {head:,} events",
        ),
        Figure(
            what="rows written by it, while it writes",
            value=rows / writing.seconds,
            unit="rows/s",
            at_least=100_000,
            note=f"{rows:,} rows, each as often as a batch changed it: {rows / head:.2f} for an "
            f"event, {rows / spent.seconds:,.0f}/s with reading and folding",
        ),
    ]


@contextmanager
def _watch_writing() -> Iterator[Stopwatch]:
    """The time in which changed rows pass into the database, without reading and folding."""
    watched, flush = Stopwatch(), Rows.flush

    def timed(rows: Rows) -> int:
        began = time.perf_counter()
        count = flush(rows)
        watched.seconds += time.perf_counter() - began
        return count

    Rows.flush = timed
    try:
        yield watched
    finally:
        Rows.flush = flush


def seconds_of_reading(assembly: Assembly) -> float:
    """All of the log, read and decoded."""
    log, feed = assembly.runtime.application.log, assembly.feed
    last = 0
    with watch() as spent:
        while page := log.read_all(last, _PAGE):
            for event in map(feed.wrap, page):
                check(event.message is not None, f"the event at {event.position} is unknown")
            last = page[-1].position
    return spent.seconds


def catch_up(assembly: Assembly) -> None:
    """Every read model to the end of the log."""
    projections = assembly.projections()
    while [one for one in projections if one.step()]:
        pass
    for one in projections:
        check(one.failure is None, f"{one.name} stopped: {one.failure}")


def verify(assembly: Assembly) -> None:
    """What the read models say of each other, service by service."""

    def ask(service: str, query: Any) -> int:
        with assembly.ground.runtime(service).views.read() as connection:
            return int(connection.execute(query).scalar_one())

    def count(service: str, table: Any, *where: Any) -> int:
        return ask(service, select(func.count()).select_from(table).where(*where))

    def total(service: str, column: Any) -> int:
        return ask(service, select(func.sum(column)))

    bought = count("inventory", taken, taken.c.status == "allocated")
    orders = count("orders", customer_order)
    fulfilled = count("orders", customer_order, customer_order.c.status == "fulfilled")
    charged = count("billing", charge, charge.c.status == "succeeded")
    available = total("inventory", block.c.available)
    free = total("inventory", block.c.size) - count("inventory", taken)
    money = total("billing", charge.c.amount_micros)
    sums = (
        (free, available, "blocks"),
        (available, total("inventory", offer.c.available), "offers"),
        (bought, count("orders", tenure), "tenures"),
        (bought, count("porting", our_number), "numbers of ours"),
        (bought, count("routing", route), "routes"),
        (orders, fulfilled, "orders"),
        (orders, charged, "charges"),
        (total("orders", customer_order.c.charged), money, "money"),
    )
    for wanted, found, what in sums:
        check(wanted == found, f"{what}: {found} instead of {wanted}")


# ── The same rows as a live run ───────────────────────────────────────────────────────────────────


def _compare_with_live(folder: Path, live: Path, events: int) -> None:
    """The first events once more, a few at a time with every view after each, then rebuilt."""
    live.mkdir(parents=True)
    for name in ("state.db", "master.key"):
        copy(folder / name, live)
    with closing(SqliteLog(folder / "log.db")) as log:
        sample = log.read_all(0, events)
    with closing(assemble(settings_of(live))) as assembly:
        for few in _few(sample):
            assembly.runtime.application.log.append_batch([_entry(event) for event in few])
            catch_up(assembly)
        before = _rows(assembly)
        for one in assembly.projections():
            one.rebuild()
        catch_up(assembly)
        after = _rows(assembly)
    check(sum(map(len, before.values())), "the live run has no rows")
    for table, rows in before.items():
        check(rows == after[table], f"{table} differs between the live run and its rebuild")


def _few(sample: list[Recorded]) -> Iterator[list[Recorded]]:
    chance, at = random.Random("live"), 0
    while at < len(sample):
        size = chance.randrange(1, 120)
        yield sample[at : at + size]
        at += size


def _entry(event: Recorded) -> Entry:
    made = NewEvent(event.event_id, event.account_id, event.type, *event[7:10])
    return Entry(event.stream, event.category, event.version - 1, (made,))


def _rows(assembly: Assembly) -> dict[str, list[tuple[Any, ...]]]:
    with assembly.runtime.views.read() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for one in assembly.projections()
            for table in one.projection.tables.sorted_tables
        }

"""A filled log is one the product could have written: every figure rests on that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bench.filling import Filler
from bench.stock import file_blocks, more_blocks
from bench.truth import Truth
from deploy.assembly import assemble
from services.billing.projections import charge
from services.inventory.domain import hold
from services.inventory.messages import StockBlock
from services.inventory.projections import block, offer, taken
from services.orders.domain import order
from services.orders.projections import customer_order, tenure
from services.porting.projections import our_number
from services.routing.projections import route
from shared.codec import decode_meta
from shared.ids import event_id_text

PURCHASES = 40
# docs/explanation/purchase.md, for one number.
PURCHASE = (
    ("HoldAsked", "customer"),
    ("NumberHeld", "customer"),
    ("NumbersHeld", "customer"),
    ("OrderPlaced", "customer"),
    ("HoldPinned", "OrderPlaced"),
    ("OrderReserved", "HoldPinned"),
    ("ChargeRequested", "OrderReserved"),
    ("ChargeSucceeded", "ChargeRequested"),
    ("OrderPaid", "ChargeSucceeded"),
    ("NumberAllocated", "OrderPaid"),
    ("HoldAllocated", "OrderPaid"),
    ("NumberPurchased", "HoldAllocated"),
    ("OrderFulfilled", "HoldAllocated"),
)


@pytest.fixture
def filler(tmp_path: Path) -> Iterator[Filler]:
    """A folder with a few accounts, blocks, purchases, and open holds on what is left."""
    made = Filler(tmp_path / "filled")
    made.add_accounts(3)
    made.add_stock(stock())
    made.hold(made.buy(PURCHASES, stock(), 0.3))
    made.build_views()
    yield made
    made.assembly.close()


@cache
def stock() -> list[StockBlock]:
    """A few blocks of the project's own."""
    return file_blocks()[:6]


def events(filler: Filler) -> list[Any]:
    """Everything in the log."""
    stored = filler.assembly.runtime.application.log.read_all(0, 1_000_000)
    return [filler.assembly.feed.wrap(event) for event in stored]


def count(filler: Filler, table: Any, *where: Any) -> int:
    """Rows of a view."""
    with filler.assembly.runtime.views.read() as connection:
        query = select(func.count()).select_from(table).where(*where)
        return int(connection.execute(query).scalar_one())


def test_every_stream_folds_to_the_end_of_its_story(filler: Filler) -> None:
    application = filler.assembly.runtime.application
    found = events(filler)
    orders = [e.message.order_id for e in found if e.type == "OrderPlaced"]
    quotes = [e.message.hold_id for e in found if e.type == "HoldAsked"]

    states = Counter(application.load(order.AGGREGATE, one).status for one in orders)
    holds = Counter(application.load(hold.AGGREGATE, one).status for one in quotes)

    assert states == {"fulfilled": PURCHASES}
    assert holds["allocated"] == PURCHASES
    assert set(holds) == {"allocated", "held"}


def test_a_purchase_is_the_one_of_the_documentation(filler: Filler) -> None:
    found = events(filler)
    single = next(
        e.message for e in found if e.type == "OrderFulfilled" and len(e.message.numbers) == 1
    )
    placed = next(
        e.message
        for e in found
        if e.type == "OrderPlaced" and e.message.order_id == single.order_id
    )
    about = (single.order_id.encode(), placed.hold_id.encode())
    mine = [e for e in found if any(mark in e.stored.payload for mark in about)]
    names = {event_id_text(e.stored.event_id): e.type for e in found}

    walked = [
        (e.type, names.get(decode_meta(e.stored.metadata).causation_id, "customer")) for e in mine
    ]

    assert tuple(walked) == PURCHASE


def test_the_policies_find_nothing_of_a_purchase_left_to_do(filler: Filler) -> None:
    head = filler.assembly.runtime.application.log.head()

    filler.assembly.engine.settle()

    new = [e for e in events(filler) if e.position > head]
    free = {e.message.order_id for e in new if e.type == "OrderPlaced" and e.message.kind == "free"}
    assert len(free) == 3  # Each account's free number, which the filling leaves out.
    assert {e.type for e in new}.isdisjoint({"ChargeRequested", "CommandRefused", "NumberReleased"})
    assert {
        getattr(e.message, "order_id", None) or e.message.hold_id
        for e in new
        if hasattr(e.message, "hold_id")
    } <= free


def test_a_closed_folder_is_at_rest(filler: Filler, tmp_path: Path) -> None:
    head = filler.assembly.runtime.application.log.head()
    filler.close()

    again = assemble(filler.assembly.settings)
    again.settle()
    found = again.runtime.application.log.head()
    again.close()

    assert found == head


def test_the_views_agree_with_each_other(filler: Filler) -> None:
    bought = count(filler, taken, taken.c.status == "allocated")
    with filler.assembly.runtime.views.read() as connection:
        available = connection.execute(select(func.sum(block.c.available))).scalar_one()
        offered = connection.execute(select(func.sum(offer.c.available))).scalar_one()
    size = sum(one.count for one in stock())

    assert available == offered == size - count(filler, taken) == round(0.7 * size)
    assert bought == count(filler, tenure) == count(filler, our_number) == count(filler, route)
    assert count(filler, customer_order, customer_order.c.status == "fulfilled") == PURCHASES
    assert count(filler, charge, charge.c.status == "succeeded") == PURCHASES


def test_the_judge_of_the_search_counts_what_the_view_says(filler: Filler) -> None:
    truth = Truth()
    truth.learn(filler.assembly.runtime.application.log)
    with filler.assembly.runtime.views.read() as connection:
        rows = connection.execute(select(offer.c.offer_id, offer.c.available)).all()

    assert truth.answer({"country": stock()[0].place.country}) == {
        r.offer_id: r.available for r in rows
    }


def test_the_log_has_no_gap_and_positions_in_order(filler: Filler) -> None:
    positions = [event.position for event in events(filler)]

    assert all(after == before + 1 for before, after in pairwise(positions))
    assert positions[0] == 1


def test_more_stock_overlaps_with_nothing() -> None:
    more = more_blocks(stock(), 50_000, "test")
    ranges = sorted((int(b.block_id), int(b.block_id) + b.count) for b in (*stock(), *more))

    assert sum(b.count for b in more) == 50_000
    assert all(end <= first for (_, end), (first, _) in pairwise(ranges))
    assert {b.place for b in more} <= {b.place for b in stock()}
    assert {len(b.block_id) for b in more} == {len(b.block_id) for b in stock()}

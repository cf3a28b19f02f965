"""Inventory in a world of its own, with what the other services would say about orders.

``Shop(world)`` stocks, searches and holds as callers do; ``truth()`` works out who has which number
from the streams of the numbers alone, so that views and holds can be compared with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from services import inventory
from services.inventory.domain import hold as hold_domain
from services.inventory.domain import stock as stock_domain
from services.inventory.domain.block import offer_id
from services.inventory.domain.hold_state import ENDED, Hold
from services.inventory.messages import (
    HoldAsked,
    Item,
    NumberBlockStocked,
    NumberHeld,
    Place,
    StockBlock,
    Terms,
)
from services.inventory.projections import block, offer, stock_day, taken
from services.orders.messages import OrderFailed, OrderPaid, OrderPlaced
from shared.aggregate import Aggregate
from shared.money import Money
from shared.rpc import OWNER, STAFF
from shared.spec import ServiceSpec
from tests.support.worlds import SteeredClock, World, context

NYC = Place(country="US", region="NY", city="New York", area_code="212", type="geographic")
BUFFALO = Place(country="US", region="NY", city="Buffalo", area_code="716", type="geographic")
TORONTO = Place(country="CA", region="ON", city="Toronto", area_code="416", type="geographic")
FREEPHONE = Place(country="US", region="", city="", area_code="888", type="toll_free")


def terms(setup: int = 500_000, monthly: int = 1_000_000, **more: Any) -> Terms:
    """Fees in micros; the rest as most stock has it."""
    fields = {
        "currency": "USD",
        "per_minute": 10_000,
        "connect_fee": 0,
        "min_period_months": 1,
        "billing_increments": "60/1",
        "sms": True,
    }
    return Terms(setup_fee=setup, monthly_fee=monthly, **(fields | more))


TERMS = terms()


class _NoMethods:
    """What orders offers here: nothing. Only its events matter."""

    def __init__(self, _runtime: object) -> None:
        pass


# Orders, as far as inventory can tell: whatever it says is recorded.
ORDERS = ServiceSpec(
    name="orders",
    aggregates=(
        Aggregate(
            category="order",
            commands=(OrderPlaced, OrderPaid, OrderFailed),
            initial=None,
            key=lambda event: event.order_id,
            evolve=lambda state, _event: state,
            decide=lambda event, _state: [event],
        ),
    ),
    rpc=_NoMethods,
    processes={},
)


def open_world(folder: Path, **more: Any) -> World:
    """A world with inventory in it."""
    return World(folder, [inventory.spec(), ORDERS], **more)


class Shop:
    """A world with inventory, as its callers see it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._keys = (f"key_{n}" for n in itertools.count())

    @property
    def clock(self) -> SteeredClock:
        """The machine's clock."""
        return self.world.machine

    # Stock

    def stock(self, first: str, count: int, place: Place = NYC, sold_at: Terms = TERMS) -> str:
        """Puts a block on sale (or on sale at other terms); answers its offer."""
        offered = offer_id(place, sold_at)
        self.world.execute(
            StockBlock(block_id=first, count=count, offer_id=offered, place=place, terms=sold_at)
        )
        self.world.settle()
        return offered

    # Calls

    def call(self, method: str, account: str = "acct_1", key: str = "", **arguments: Any) -> Any:
        """A call of an owner of the account, under a key of its own unless one is given."""
        caller = context(account, key=key or next(self._keys))
        return self.world.client.call("inventory", method, caller, **arguments)

    def staff(self, method: str, key: str = "", **arguments: Any) -> Any:
        """A call of the back office."""
        caller = context("acct_0", key=key or next(self._keys), roles=(OWNER, STAFF))
        return self.world.client.call("inventory", method, caller, **arguments)

    def hold(self, *items: dict[str, Any], account: str = "acct_1", **more: Any) -> Any:
        """A quote."""
        return self.call("hold_numbers", account, items=list(items), **more)

    def search(self, country: str = "US", **more: Any) -> list[dict[str, Any]]:
        """The first page of offers."""
        found: list[dict[str, Any]] = self.call("search_available", country=country, **more)["data"]
        return found

    def walk(self, method: str, **arguments: Any) -> list[dict[str, Any]]:
        """All rows of a list, page by page."""
        rows: list[dict[str, Any]] = []
        after = None
        while True:
            page = self.call(method, after=after, **arguments)
            rows += page["data"]
            after = page["next"]
            if after is None:
                return rows

    # What orders says

    def place(self, order_id: str, hold_id: str = "", *items: Item, **more: Any) -> None:
        """``OrderPlaced``: on a quote, or with items."""
        fields = {
            "account_id": "acct_1",
            "kind": "purchase",
            "strategy": "all_or_nothing",
            "payment_method_id": None,
            "usage": None,
            "end_user": None,
            "document_ids": (),
        }
        hold_id = hold_id or order_id
        said = OrderPlaced(order_id=order_id, hold_id=hold_id, items=items, **(fields | more))
        self.world.execute(said)

    def give_free(self, order_id: str, country: str = "US", account: str = "acct_1") -> None:
        """``OrderPlaced`` for an account's free number."""
        self.place(order_id, "", Item(free_in=country), kind="free", account_id=account)

    def pay(self, order_id: str, hold_id: str = "") -> None:
        """``OrderPaid``."""
        self.world.execute(
            OrderPaid(
                order_id=order_id,
                account_id="acct_1",
                hold_id=hold_id or order_id,
                charge_id=None,
                amount=Money(0, "USD"),
            )
        )

    def fail(self, order_id: str, hold_id: str = "") -> None:
        """``OrderFailed``."""
        self.world.execute(
            OrderFailed(
                order_id=order_id,
                account_id="acct_1",
                hold_id=hold_id or order_id,
                code="card_declined",
                detail="",
            )
        )

    # The truth

    def load(self, hold_id: str) -> Hold:
        """A hold, from its stream."""
        found: Hold = self.world.application.load(hold_domain.AGGREGATE, hold_id)
        return found

    def status(self, number: str) -> str:
        """A number's status, from its stream."""
        return str(self.world.application.load(stock_domain.AGGREGATE, number).status)

    def truth(self) -> dict[str, stock_domain.Stock]:
        """Every number that was ever touched, from its stream."""
        numbers = {e.number for e in self.world.messages(NumberHeld)}
        load = self.world.application.load
        return {n: load(stock_domain.AGGREGATE, n) for n in sorted(numbers)}

    def held(self) -> dict[str, str]:
        """Which hold has which number."""
        return {n: s.hold_id for n, s in self.truth().items() if s.status == "held"}

    def assert_whole(self) -> None:
        """Every held number belongs to a hold that lives and counts it among its own; what a live
        hold counts as its own it has; the views say what the streams say."""
        held, holds = self.held(), self._holds()
        owned = [n for h, s in holds.items() if s.status != ENDED for n in s.numbers]
        assert len(owned) == len(set(owned))
        for number, hold_id in held.items():
            assert holds[hold_id].status != ENDED, number
            assert number in holds[hold_id].numbers, number
        for hold_id, state in holds.items():
            if state.status in {"held", "pinned"}:
                assert set(state.numbers) <= {n for n, h in held.items() if h == hold_id}
        self.assert_counts()

    def _holds(self) -> dict[str, Hold]:
        return {e.hold_id: self.load(e.hold_id) for e in self.world.messages(HoldAsked)}

    def assert_counts(self) -> None:
        """The views' counts are those of the streams."""
        gone = {n: s.status for n, s in self.truth().items() if s.status != "available"}
        with self.world.views.read() as connection:
            seen = {row.number: row.status for row in connection.execute(select(taken))}
            blocks = connection.execute(select(block)).all()
            offers = dict(connection.execute(select(offer.c.offer_id, offer.c.available)).all())
        assert seen == gone
        left = {row.block_id: row.size - _among(gone, row.first, row.last) for row in blocks}
        assert {row.block_id: row.available for row in blocks} == left
        by_offer = dict.fromkeys(offers, 0)
        for row in blocks:
            by_offer[row.offer_id] += 0 if row.withdrawn else row.available
        assert offers == by_offer
        self._assert_days(gone)

    def _assert_days(self, gone: dict[str, str]) -> None:
        """The changes of all days add up to what there is now."""
        names = ("held", "allocated", "quarantined")
        sums = [func.sum(stock_day.c[name]) for name in ("available", *names)]
        with self.world.views.read() as connection:
            available, *others = (n or 0 for n in connection.execute(select(*sums)).one())
            sold = connection.execute(select(func.sum(offer.c.available))).scalar() or 0
        assert available == sold
        statuses = list(gone.values())
        assert others == [statuses.count(name) for name in names]

    def rows_and_streams(self) -> tuple[int, int]:
        """How many rows the views hold for single numbers, and how many streams there are."""
        with self.world.views.read() as connection:
            rows = connection.execute(select(func.count()).select_from(taken)).scalar_one()
        streams = {e.stored.stream for e in self.world.happened()}
        return rows, sum(name.startswith("stock-") for name in streams)


def _among(numbers: Iterable[str], first: int, last: int) -> int:
    return sum(first <= int(number) <= last for number in numbers)


def stocked(shop: Shop) -> int:
    """How many numbers are in blocks."""
    return sum(e.count for e in shop.world.messages(NumberBlockStocked))

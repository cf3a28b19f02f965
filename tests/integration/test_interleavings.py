"""Hold, order, charge, expiry, crash in any order: all services, the real payment sandbox, one step
at a time. The judge is outside: what the customers asked for, and the provider's book."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from deploy.ground import all_specs
from deploy.payment_sandbox.book import Book
from deploy.payment_sandbox.process import start_sandbox
from shared.errors import PbxError
from shared.rpc import STAFF, CallContext
from tests.support.worlds import World, context

SECRET_KEY = "sk_test_interleavings"
COLUMNS = (
    "country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,"
    "min_period_months,per_minute,connect_fee,currency,billing_increments\n"
)
BLOCK = "US,MD,Rockville,301,geographic,+13012791100,4,true,0.50,1.26,1,0.0085,0.0000,USD,60/1\n"

# What may happen next. Steps are the most common, so that things get somewhere between the rest.
ACTIONS = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 40)),
    st.tuples(st.just("step"), st.integers(0, 40)),
    st.tuples(st.just("quote"), st.integers(0, 2)),
    st.tuples(st.just("order"), st.integers(0, 2)),
    st.tuples(st.just("buy"), st.integers(0, 2)),
    st.tuples(st.just("again"), st.integers(0, 2)),
    st.tuples(st.just("later"), st.integers(1, 12)),
    st.tuples(st.just("crash"), st.just(0)),
)


@dataclass
class Bank:
    """The payment sandbox and its book."""

    base_url: str
    book: Book


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """The payment sandbox of all examples."""
    folder = tmp_path_factory.mktemp("bank")
    running = start_sandbox(folder, secret_key=SECRET_KEY, publishable_key="pk_test_x")
    yield Bank(running.base_url, Book(folder))
    running.stop()


@pytest.fixture(scope="module")
def template(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of an installation with four numbers, two good cards and one that is declined."""
    world = _world(tmp_path_factory.mktemp("template") / "var", bank)
    staff = context("acct_staff", key="stock", roles=(STAFF,))
    world.client.call("inventory", "import_stock", staff, csv=COLUMNS + BLOCK)
    world.settle()
    for n, card in enumerate(("pm_card_visa", "pm_card_mastercard", "pm_card_chargeCustomerFail")):
        opened = world.client.call(
            "billing",
            "open_account",
            context("acct_staff", key=f"account {n}", roles=(STAFF,)),
            name=f"Buyer {n}",
            email=f"b{n}@example.com",
            country="AU",
        )
        mine = context(opened["id"], key="card")
        world.client.call("billing", "add_payment_method", mine, payment_method=card)
    world.settle()
    world.close()
    return world.folder


def _world(folder: Path, bank: Bank) -> World:
    return World(
        folder,
        all_specs(),
        stripe_secret_key=SECRET_KEY,
        stripe_publishable_key="pk_test_x",
        stripe_api_base=bank.base_url,
    )


@dataclass
class Shop:
    """Three customers before one installation, and what they wrote down."""

    world: World
    accounts: list[str]
    quotes: dict[int, str] = field(default_factory=dict)
    last: dict[int, tuple[str, str]] = field(default_factory=dict)  # key, quote
    orders: dict[str, int] = field(default_factory=dict)

    def do(self, action: str, n: int) -> None:
        """One thing happens."""
        getattr(self, action)(n)

    def step(self, n: int) -> None:
        """One consumer or worker does one piece of work."""
        consumers = self.world.engine.consumers
        if n < len(consumers):
            consumers[n].step()
        else:
            self.world.worker("billing", n % 2).step()

    def quote(self, n: int) -> None:
        """A customer asks for one or two numbers."""
        offer = self._call(n, "inventory", "search_available", country="US")["data"]
        if not offer:
            return
        items = [{"offer_id": offer[0]["offer_id"], "quantity": 1 + n % 2}]
        try:
            held = self._call(n, "inventory", "hold_numbers", items=items)
        except PbxError as error:
            if error.code != "number_gone":
                raise
            return
        self.quotes[n] = held["id"]

    def order(self, n: int) -> None:
        """A customer orders what was quoted last."""
        if n in self.quotes:
            self.last[n] = (uuid.uuid4().hex, self.quotes.pop(n))
            self.again(n)

    def buy(self, n: int) -> None:
        """A customer asks and orders at once."""
        self.quote(n)
        self.order(n)

    def again(self, n: int) -> None:
        """A customer sends the last order, for the first or the second time."""
        if n in self.last:
            key, quote = self.last[n]
            placed = self._call(n, "orders", "place_order", key=key, quote_id=quote)
            self.orders[placed["id"]] = n

    def later(self, n: int) -> None:
        """Minutes pass; a quote holds for ten."""
        self.world.machine.forward(minutes=n)

    def crash(self, _n: int) -> None:
        """The process dies; another one starts on its files."""
        self.world = self.world.restart()

    def _call(self, n: int, service: str, method: str, key: str = "", **arguments: Any) -> Any:
        ctx: CallContext = context(self.accounts[n], key=key or uuid.uuid4().hex)
        return self.world.client.call(service, method, ctx, **arguments)


@settings(
    max_examples=20,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=st.lists(ACTIONS, min_size=40, max_size=90))
def test_in_any_order_everybody_gets_what_he_paid_for_and_pays_what_he_got(
    bank: Bank, template: Path, tmp_path: Path, actions: list[tuple[str, int]]
) -> None:
    folder = tmp_path / uuid.uuid4().hex
    shutil.copytree(template, folder)
    world = _world(folder, bank)
    shop = Shop(world, _accounts(world))
    for action, n in actions:
        shop.do(action, n)
    _come_to_rest(shop)

    for status in _statuses(shop):
        event(f"some order {status}")
    assert _statuses(shop) <= {"fulfilled", "failed"}
    assert _bought(shop) == _paid(shop, bank.book)
    _check_stock(shop)
    shop.world.close()


def _accounts(world: World) -> list[str]:
    return [e.stored.account_id for e in world.happened() if e.type == "AccountOpened"]


def _come_to_rest(shop: Shop) -> None:
    # Everything due is done: effects are tried again, quotes nobody ordered have expired.
    for _ in range(6):
        shop.world.settle()
        shop.world.machine.forward(minutes=11)
    shop.world.settle()


def _order(shop: Shop, order_id: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.world.client.call(
        "orders", "get_order", context(shop.accounts[shop.orders[order_id]]), order_id=order_id
    )
    return found


def _statuses(shop: Shop) -> set[str]:
    return {_order(shop, order_id)["status"] for order_id in shop.orders}


def _bought(shop: Shop) -> dict[str, int]:
    """Cents per fulfilled order, by what the customer was told."""
    told = [_order(shop, order_id) for order_id in shop.orders]
    return {
        o["id"]: round(float(o["total"]["amount"]) * 100)
        for o in told
        if o["status"] == "fulfilled"
    }


def _paid(shop: Shop, book: Book) -> dict[str, int]:
    """Cents per order, by the provider's book; an order charged twice would show its sum."""
    paid: dict[str, int] = {}
    for charge in book.charges():
        order_id = charge.metadata.get("order_id", "")
        if order_id in shop.orders and charge.status == "succeeded":
            paid[order_id] = paid.get(order_id, 0) + charge.amount_minor
    return paid


def _check_stock(shop: Shop) -> None:
    last: dict[str, str] = {}
    allocated: dict[str, int] = {}
    for e in shop.world.happened():
        if e.stored.category == "stock":
            last[e.stored.stream] = e.type
            got = e.type == "NumberAllocated"
            allocated[e.stored.stream] = allocated.get(e.stored.stream, 0) + got
    assert set(last.values()) <= {"NumberReleased", "NumberAllocated"}
    assert set(allocated.values()) <= {0, 1}
    free = shop._call(0, "inventory", "search_available", country="US")["data"]
    assert sum(row["available"] for row in free) == 4 - sum(allocated.values())

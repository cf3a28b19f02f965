"""Holding, pinning, expiring, releasing, allocating and failing in any order, driven step by step.

Hypothesis prints the steps of what it finds, and the blob that repeats it.
"""

import shutil
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from services.inventory.messages import HoldAllocated, HoldAsked, NumberAllocated
from shared.errors import Refusal
from tests.integration.inventory.shop import Shop, open_world
from tests.integration.inventory.test_holding import some

FIRST = "+12125550100"
LIVE = {"held", "pinned", "allocated"}


@contextmanager
def refused_at_most(*codes):
    """It may be refused, and only like this."""
    try:
        yield
    except Refusal as error:
        if error.code not in codes:
            raise


class Trading(RuleBasedStateMachine):
    """Six numbers, two accounts, and everybody at once."""

    files: Path  # Of a shop with six numbers on sale.

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.shop = Shop(open_world(shutil.copytree(self.files, self.folder / "data")))
        self.offer = self.shop.search()[0]["offer_id"]
        self.quotes, self.orders, self.paid = {}, {}, set()

    @rule(quantity=st.integers(1, 3), account=st.sampled_from(["acct_1", "acct_2"]))
    def hold(self, quantity, account):
        key = f"hold {len(self.quotes)}"
        self.quotes[key] = None
        wanted = some(self.offer, quantity)
        with refused_at_most("number_gone"):
            self.quotes[key] = self.shop.hold(wanted, account=account, key=key)

    @rule(n=st.integers(0, 9))
    def release(self, n):
        if quote := self._quote(n):
            with refused_at_most("quote_used"):
                self.shop.call("release_hold", quote["account"], hold_id=quote["id"])

    @rule(n=st.integers(0, 9))
    def extend(self, n):
        if quote := self._quote(n):
            with refused_at_most("quote_used", "quote_expired"):
                self.shop.call("extend_hold", quote["account"], hold_id=quote["id"])

    @rule(n=st.integers(0, 9))
    def order(self, n):
        if quote := self._quote(n):
            order_id = f"ord_{len(self.orders)}"
            self.orders[order_id] = quote["id"]
            self.shop.place(order_id, quote["id"], account_id=quote["account"])

    @rule(n=st.integers(0, 9))
    def pay(self, n):
        for order_id in self._pinned()[n : n + 1]:
            self.paid.add(order_id)
            self.shop.pay(order_id, self.orders[order_id])

    @rule(n=st.integers(0, 9))
    def fail(self, n):
        unpaid = [o for o in self.orders if o not in self.paid]
        for order_id in unpaid[n : n + 1]:
            self.shop.fail(order_id, self.orders[order_id])

    @rule(minutes=st.integers(1, 12))
    def time_passes(self, minutes):
        self.shop.clock.forward(minutes=minutes)

    @rule(consumers=st.lists(st.integers(0, 9), min_size=1, max_size=6))
    def step(self, consumers):
        everybody = self.shop.world.engine.consumers
        for n in consumers:
            everybody[n % len(everybody)].step()

    @rule()
    def settle(self):
        self.shop.world.settle()

    @invariant()
    def no_number_is_in_two_live_holds(self):
        holds = {e.hold_id for e in self.shop.world.messages(HoldAsked)}
        live = [s for s in map(self.shop.load, holds) if s.status in LIVE]
        counted = Counter(number for state in live for number in state.numbers)
        assert not [number for number, times in counted.items() if times > 1]

    @invariant()
    def a_number_is_allocated_once(self):
        allocated = [e.number for e in self.shop.world.messages(NumberAllocated)]
        assert len(allocated) == len(set(allocated))

    def teardown(self):
        self.shop.world.settle()
        self.shop.assert_whole()
        answered = {e.order_id: e for e in self.shop.world.messages(HoldAllocated)}
        assert set(answered) == self.paid
        assert all(not e.refused for e in answered.values())
        self.shop.world.close()
        shutil.rmtree(self.folder)

    def _quote(self, n):
        found = [q for q in self.quotes.values() if q]
        if n >= len(found):
            return None
        return found[n] | {"account": self.shop.load(found[n]["id"]).account_id}

    def _pinned(self):
        holds = {o: self.shop.load(h) for o, h in self.orders.items()}
        return [o for o, s in holds.items() if s.status == "pinned" and s.order_id == o]


@pytest.fixture(scope="module")
def six_numbers(tmp_path_factory, empty_files):
    folder = shutil.copytree(empty_files, tmp_path_factory.mktemp("six") / "data")
    shop = Shop(open_world(folder))
    shop.stock(FIRST, 6)
    shop.world.close()
    return folder


def test_whatever_the_order_no_number_is_lost_or_sold_twice(six_numbers):
    chosen = settings(max_examples=25, stateful_step_count=25, print_blob=True, deadline=None)

    class OnThese(Trading):
        files = six_numbers

    run_state_machine_as_test(OnThese, settings=chosen)

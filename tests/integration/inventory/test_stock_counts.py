"""How much there is by country, type and day: from the events' own times, in any batches."""

from datetime import UTC, datetime, timedelta

import pytest

from services.inventory.messages import QuarantineNumber, WithdrawBlock
from shared.errors import NotAllowed, Unprocessable
from shared.rpc import OWNER, STAFF
from tests.integration.inventory.shop import BUFFALO, FREEPHONE, TORONTO
from tests.integration.inventory.test_holding import some
from tests.support.worlds import context

FIRST = "+12125550100"


def overview(shop, **more):
    staff = context("", roles=(STAFF,))
    return shop.world.client.call("inventory", "get_stock_overview", staff, **more)


def counts(shop):
    return {
        (c["country"], c["type"]): tuple(
            c[n] for n in ("stocked", "available", "held", "allocated", "quarantined")
        )
        for c in overview(shop)["counts"]
    }


def bought(shop, offer, quantity, order_id="ord_1"):
    quote = shop.hold(some(offer, quantity))
    shop.place(order_id, quote["id"])
    shop.world.settle()
    shop.pay(order_id, quote["id"])
    shop.world.settle()
    return quote["numbers"]


def test_numbers_are_counted_by_country_type_and_what_became_of_them(shop):
    offer = shop.stock(FIRST, 100)
    shop.stock("+18885550100", 20, place=FREEPHONE)
    shop.stock("+14165550100", 10, place=TORONTO)
    shop.hold(some(offer, 3))
    shop.world.settle()
    bought(shop, offer, 2)

    assert counts(shop) == {
        ("CA", "geographic"): (10, 10, 0, 0, 0),
        ("US", "geographic"): (100, 95, 3, 2, 0),
        ("US", "toll_free"): (20, 20, 0, 0, 0),
    }
    shop.assert_whole()


def test_each_day_shows_what_there_was_at_its_end(shop):
    offer = shop.stock(FIRST, 100)
    shop.clock.forward(days=1)
    shop.hold(some(offer, 3))
    shop.world.settle()
    shop.clock.forward(minutes=10)
    shop.world.settle()  # All three came back on the same day.
    bought(shop, offer, 2)
    shop.clock.forward(days=2)
    shop.stock("+17165550100", 40, place=BUFFALO)

    found = overview(shop, days=5)

    assert found["days"] == [f"2026-{day}" for day in ("01-30", "01-31", "02-01", "02-02", "02-03")]
    assert found["countries"] == [{"country": "US", "available": [0, 100, 98, 98, 138]}]
    # What happened before the first day counts on it.
    assert overview(shop, days=2)["countries"][0]["available"] == [98, 138]


def test_an_event_counts_on_the_day_it_happened_however_late_it_is_folded(shop):
    offer = shop.stock(FIRST, 100)
    shop.clock.at = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    shop.hold(some(offer, 4))
    shop.clock.forward(seconds=2)
    shop.world.settle()

    assert overview(shop, days=2)["countries"][0]["available"] == [96, 96]


def test_a_number_that_rests_and_one_that_is_withdrawn_are_counted(shop):
    offer = shop.stock(FIRST, 100)
    one, two = bought(shop, offer, 2)
    truth = shop.truth()
    for number, days in ((one, 45), (two, 50)):
        until = shop.clock.now() + timedelta(days=days)
        tenure = truth[number].num_id
        shop.world.execute(QuarantineNumber(number=number, num_id=tenure, until=until))
    shop.world.settle()
    assert counts(shop) == {("US", "geographic"): (100, 98, 0, 0, 2)}

    shop.clock.forward(days=46)
    shop.world.settle()
    assert counts(shop) == {("US", "geographic"): (100, 99, 0, 0, 1)}
    shop.world.execute(WithdrawBlock(block_id=FIRST, reason="returned to the carrier"))
    shop.world.settle()
    assert counts(shop) == {("US", "geographic"): (1, 0, 0, 0, 1)}


def test_counts_are_the_same_after_a_rebuild_in_one_batch(shop):
    offer = shop.stock(FIRST, 100)
    bought(shop, offer, 2)
    shop.clock.forward(days=1)
    shop.hold(some(offer, 3))
    shop.world.settle()
    before = overview(shop)

    shop.world.consumer("stock").rebuild()
    shop.world.settle()

    assert overview(shop) == before


def test_only_staff_sees_the_overview_and_of_a_year_at_most(shop):
    with pytest.raises(NotAllowed, match="staff_only"):
        shop.world.client.call("inventory", "get_stock_overview", context(roles=(OWNER,)))
    with pytest.raises(Unprocessable, match="invalid_value"):
        overview(shop, days=367)

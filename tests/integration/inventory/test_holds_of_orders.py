"""Holds of orders: pinned, filled, refused, allocated, and what comes too late."""

import pytest

from services.inventory.messages import (
    AskHold,
    HoldAllocated,
    HoldNumber,
    HoldPinned,
    HoldRefused,
    HoldReleased,
    Item,
    NumberAllocated,
    RecordHeld,
)
from shared.errors import Conflict
from tests.integration.inventory.shop import (
    BUFFALO,
    NYC,
    TERMS,
    terms,
)
from tests.integration.inventory.test_holding import FIRST, some


def test_a_quote_is_pinned_by_its_order_and_allocated_when_it_is_paid(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 2))

    shop.place("ord_1", quote["id"])
    shop.world.settle()

    (pinned,) = shop.world.messages(HoldPinned)
    assert (pinned.order_id, pinned.hold_id) == ("ord_1", quote["id"])
    assert [n for line in pinned.lines for n in line.numbers] == quote["numbers"]
    found = shop.call("get_hold", hold_id=quote["id"])
    assert (found["status"], found["order_id"]) == ("pinned", "ord_1")
    with pytest.raises(Conflict, match="quote_used"):
        shop.call("release_hold", hold_id=quote["id"])

    shop.pay("ord_1", quote["id"])
    shop.world.settle()

    (allocated,) = shop.world.messages(HoldAllocated)
    assert [n.number for n in allocated.numbers] == quote["numbers"]
    assert len({n.num_id for n in allocated.numbers}) == 2
    assert {shop.status(n) for n in quote["numbers"]} == {"allocated"}
    shop.assert_whole()


def test_a_second_order_on_a_quote_is_refused_in_an_event(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 2))
    shop.place("ord_1", quote["id"])
    shop.place("ord_2", quote["id"])
    shop.place("ord_3", "qt_x")
    shop.place("ord_4", quote["id"], account_id="acct_2")
    shop.world.settle()

    refused = {e.order_id: e.code for e in shop.world.messages(HoldRefused)}

    assert refused == {
        "ord_2": "quote_used",
        "ord_3": "quote_unknown",
        "ord_4": "quote_unknown",
    }
    assert len(shop.held()) == 2
    shop.assert_whole()


def test_an_order_with_items_is_filled_and_pinned_at_once(shop):
    offer = shop.stock(FIRST, 100)

    shop.place("ord_1", "", Item(offer_id=offer, quantity=3), Item(number="+12125550150"))
    shop.world.settle()

    (pinned,) = shop.world.messages(HoldPinned)
    assert pinned.hold_id == pinned.order_id == "ord_1"
    assert [len(line.numbers) for line in pinned.lines] == [3, 1]
    shop.clock.forward(days=400)
    shop.world.settle()
    assert len(shop.held()) == 4  # A pinned hold has no expiry.
    shop.assert_whole()


def test_an_orders_wish_that_cannot_be_ends_as_refused(shop):
    offer, small = shop.stock(FIRST, 100), shop.stock("+17165550100", 2, BUFFALO)
    euros = shop.stock("+12125550300", 50, NYC, terms(currency="EUR"))
    wishes = {
        "offer_unknown": [Item(offer_id="off_x")],
        "number_gone": [Item(offer_id=offer, quantity=2), Item(offer_id=small, quantity=3)],
        "too_many_per_city": [Item(offer_id=offer, quantity=10), Item(number="+12125550110")],
        "quantity_invalid": [Item(offer_id=offer, quantity=11)],
        "items_invalid": [Item(number=FIRST), Item(number=FIRST)],
        "mixed_currency": [Item(offer_id=offer), Item(offer_id=euros)],
    }

    for code, items in wishes.items():
        shop.place(f"ord_{code}", "", *items)
    shop.world.settle()

    refused = [(e.order_id, e.code) for e in shop.world.messages(HoldRefused)]
    assert refused == [(f"ord_{code}", code) for code in wishes]
    assert shop.held() == {}
    shop.assert_whole()


def test_an_order_that_fails_gives_its_numbers_back(shop):
    offer = shop.stock(FIRST, 100)
    shop.place("ord_1", "", Item(offer_id=offer, quantity=3))
    shop.world.settle()

    shop.fail("ord_1")
    shop.world.settle()

    (released,) = shop.world.messages(HoldReleased)
    assert (released.reason, released.order_id, len(released.numbers)) == (
        "order_failed",
        "ord_1",
        3,
    )
    assert shop.held() == {}
    assert shop.search()[0]["available"] == 100


def test_best_effort_orders_buy_what_could_be_pinned(shop):
    small = shop.stock("+17165550100", 2, BUFFALO)

    shop.place("ord_1", "", Item(offer_id=small, quantity=5), strategy="best_effort")
    shop.world.settle()

    (pinned,) = shop.world.messages(HoldPinned)
    assert [len(line.numbers) for line in pinned.lines] == [2]
    assert [(m.quantity, m.code) for m in pinned.missing] == [(3, "number_gone")]
    shop.assert_whole()


def test_numbers_are_allocated_once_however_often_it_is_paid(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 2))
    shop.place("ord_1", quote["id"])
    shop.world.settle()

    for _ in range(3):
        shop.pay("ord_1", quote["id"])
    shop.world.settle()

    assert len(shop.world.messages(NumberAllocated)) == 2
    assert len(shop.world.messages(HoldAllocated)) == 1


def test_a_number_that_comes_when_its_hold_has_ended_goes_back(shop):
    offer = shop.stock(FIRST, 10)
    quote = shop.hold(some(offer, 1))
    shop.call("release_hold", hold_id=quote["id"])
    late = next(n for n in (FIRST, "+12125550101") if n not in quote["numbers"])

    shop.world.execute(_hold_number(late, offer, quote["id"]))
    assert shop.held() == {quote["numbers"][0]: quote["id"], late: quote["id"]}
    shop.world.settle()

    assert shop.held() == {}
    shop.assert_whole()


def test_a_number_that_comes_when_its_hold_is_settled_without_it_goes_back(shop):
    offer = shop.stock(FIRST, 10)
    quote = shop.hold(some(offer, 2))
    late = next(f"+1212555010{n}" for n in range(10) if f"+1212555010{n}" not in quote["numbers"])

    shop.world.execute(_hold_number(late, offer, quote["id"]))
    shop.world.settle()

    assert sorted(shop.held()) == sorted(quote["numbers"])
    shop.assert_whole()


def test_a_number_that_was_tried_and_is_not_recorded_goes_back(shop):
    offer = shop.stock(FIRST, 10)
    items = (Item(offer_id=offer, quantity=1),)
    until = shop.world.runtime.clock.now()
    ask = AskHold(hold_id="qt_1", account_id="acct_1", items=items, tried=(FIRST,), until=until)
    shop.world.execute(ask)
    shop.world.execute(_hold_number(FIRST, offer, "qt_1"))
    shop.world.execute(RecordHeld(hold_id="qt_1", lines=(), missing=()))

    shop.world.settle()

    assert shop.held() == {}
    shop.assert_whole()


def _hold_number(number, offer, hold_id):
    return HoldNumber(
        number=number,
        block_id=FIRST,
        offer_id=offer,
        terms=TERMS,
        hold_id=hold_id,
        account_id="acct_1",
    )

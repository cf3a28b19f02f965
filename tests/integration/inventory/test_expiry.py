"""Holds end by themselves: timers through the engine, with a clock that is moved."""

from datetime import datetime, timedelta

import pytest

from services.inventory.messages import (
    HoldReleased,
    NumberReturnedToStock,
    QuarantineNumber,
)
from shared.errors import Conflict, Gone
from shared.platform import AdvanceClock
from tests.integration.inventory.shop import Shop
from tests.integration.inventory.test_holding import some

FIRST = "+12125550100"


def test_a_quote_expires_after_ten_minutes_and_its_numbers_come_back(shop):
    offer = shop.stock(FIRST, 100)
    quote = shop.hold(some(offer, 3))
    shop.world.settle()

    shop.clock.forward(minutes=9, seconds=59)
    shop.world.settle()
    assert len(shop.held()) == 3
    shop.clock.forward(seconds=1)
    shop.world.settle()

    assert shop.held() == {}
    (end,) = shop.world.messages(HoldReleased)
    assert end.reason == "expired"
    assert shop.call("get_hold", hold_id=quote["id"])["status"] == "expired"
    assert shop.search()[0]["available"] == 100
    shop.assert_whole()


def test_an_expired_quote_says_so_before_its_timer_fires(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 1))

    shop.clock.forward(minutes=10)

    assert shop.call("get_hold", hold_id=quote["id"])["status"] == "expired"
    with pytest.raises(Gone, match="quote_expired"):
        shop.call("extend_hold", hold_id=quote["id"])


def test_business_time_counts(shop):
    shop.hold(some(shop.stock(FIRST, 100), 1))
    shop.world.settle()

    shop.world.execute(AdvanceClock(offset_seconds=600))
    shop.world.settle()

    assert shop.held() == {}


def test_it_expires_after_a_restart_too(shop):
    shop.hold(some(shop.stock(FIRST, 100), 1))
    shop.clock.forward(minutes=11)

    again = Shop(shop.world.restart())
    again.world.settle()

    assert again.held() == {}
    again.world.close()


def test_nothing_is_fired_before_the_view_has_caught_up(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 1))
    shop.world.settle()
    shop.clock.forward(minutes=9)
    shop.call("extend_hold", hold_id=quote["id"])  # Not yet in the view of the timers.
    shop.clock.forward(minutes=2)

    assert not shop.world.consumer("scheduler:inventory").step()
    shop.world.settle()

    assert list(shop.held()) == quote["numbers"]


def test_an_extension_moves_the_end(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 1))
    shop.world.settle()
    shop.clock.forward(minutes=9)

    extended = shop.call("extend_hold", hold_id=quote["id"])
    shop.world.settle()

    assert extended["expires_at"] == "2026-01-31T12:19:00Z"
    shop.clock.forward(minutes=9, seconds=59)
    shop.world.settle()
    assert len(shop.held()) == 1
    shop.clock.forward(seconds=1)
    shop.world.settle()
    assert shop.held() == {}


def test_a_quote_lasts_an_hour_in_all_however_often_it_is_extended(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 1))
    ends = []
    for _ in range(8):
        shop.clock.forward(minutes=8)
        if datetime.fromisoformat(quote["expires_at"]) <= shop.clock.now():
            break
        quote = shop.call("extend_hold", hold_id=quote["id"])
        ends.append(quote["expires_at"])
        shop.world.settle()

    assert ends[-1] == "2026-01-31T13:00:00Z"
    shop.clock.at = datetime.fromisoformat(ends[-1])
    shop.world.settle()
    assert shop.held() == {}
    with pytest.raises(Gone, match="quote_expired"):
        shop.call("extend_hold", hold_id=quote["id"])


def test_a_pinned_quote_never_expires(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 2))
    shop.place("ord_1", quote["id"])
    shop.world.settle()

    shop.clock.forward(days=30)
    shop.world.settle()

    assert sorted(shop.held()) == sorted(quote["numbers"])
    with pytest.raises(Conflict, match="quote_used"):
        shop.call("extend_hold", hold_id=quote["id"])
    shop.assert_whole()


def test_an_order_placed_in_time_gets_its_quote_though_it_is_handled_late(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 1))
    shop.world.settle()
    shop.clock.forward(minutes=9, seconds=59)
    shop.place("ord_1", quote["id"])

    shop.clock.forward(minutes=5)
    shop.world.settle()

    assert shop.call("get_hold", hold_id=quote["id"])["status"] == "pinned"


def test_a_released_quote_has_no_timer_left(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 2))
    shop.call("release_hold", hold_id=quote["id"])
    shop.world.settle()

    assert shop.world.consumer("scheduler:inventory").next_due() is None
    shop.clock.forward(minutes=11)
    shop.world.settle()

    assert [e.reason for e in shop.world.messages(HoldReleased)] == ["released"]
    assert shop.call("release_hold", hold_id=quote["id"])["status"] == "released"


def test_a_number_rests_and_comes_back_by_itself(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 1))
    shop.place("ord_1", quote["id"])
    shop.world.settle()
    shop.pay("ord_1", quote["id"])
    shop.world.settle()
    (number,) = quote["numbers"]
    tenure = shop.truth()[number].num_id
    rest = shop.clock.now() + timedelta(days=45)
    shop.world.execute(QuarantineNumber(number=number, num_id=tenure, until=rest))
    shop.world.settle()
    assert shop.search()[0]["available"] == 99

    shop.clock.at = rest
    shop.world.settle()

    assert len(shop.world.messages(NumberReturnedToStock)) == 1
    assert shop.search()[0]["available"] == 100
    shop.assert_whole()

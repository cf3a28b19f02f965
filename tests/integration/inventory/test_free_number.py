"""The account's free number: the cheapest offer, then the lowest number, without fees, once."""

import shutil
from itertools import count

import pytest

from services.inventory.messages import HoldAsked, HoldAwaitsStock, HoldPinned, HoldReleased
from tests.integration.inventory.crashes import KillSwitch, dies
from tests.integration.inventory.shop import (
    BUFFALO,
    FREEPHONE,
    NYC,
    TORONTO,
    Shop,
    open_world,
    terms,
)
from tests.integration.inventory.test_holding import some

FIRST = "+12125550100"


def pinned(shop):
    return {e.order_id: e for e in shop.world.messages(HoldPinned)}


def numbers(shop):
    return {o: e.lines[0].numbers[0] for o, e in pinned(shop).items()}


def test_it_is_the_cheapest_offer_then_the_lowest_number(shop):
    shop.stock(FIRST, 100, NYC, terms(setup=0, monthly=1_600_000))
    shop.stock("+17165550500", 100, BUFFALO, terms(setup=500_000, monthly=1_000_000))
    shop.stock("+17165550100", 100, BUFFALO, terms(setup=500_000, monthly=1_000_000))
    shop.stock("+18885550100", 100, FREEPHONE, terms(setup=0, monthly=0))
    shop.stock("+14165550100", 100, TORONTO, terms(setup=0, monthly=1))

    shop.give_free("ord_1")
    shop.give_free("ord_2", "CA")
    shop.world.settle()

    assert numbers(shop) == {"ord_1": "+17165550100", "ord_2": "+14165550100"}
    (line,) = pinned(shop)["ord_1"].lines
    assert (line.terms.setup_fee, line.terms.monthly_fee) == (0, 0)
    assert line.terms.per_minute == 10_000
    assert line.place == BUFFALO
    shop.assert_whole()


def test_of_two_offers_at_one_price_the_lowest_number_is_taken(shop):
    shop.stock("+17165550100", 100, BUFFALO, terms(setup=500_000, monthly=1_000_000))
    shop.stock("+12125550500", 100, NYC, terms(setup=1_000_000, monthly=500_000))

    shop.give_free("ord_1")
    shop.world.settle()

    assert numbers(shop) == {"ord_1": "+12125550500"}


def test_several_accounts_at_once_get_a_number_each(shop):
    shop.stock(FIRST, 3)
    shop.stock("+17165550100", 10, BUFFALO, terms(monthly=9_000_000))

    for n in range(5):
        shop.give_free(f"ord_{n}", account=f"acct_{n}")
    shop.world.settle()

    assert sorted(numbers(shop).values()) == [
        "+12125550100",
        "+12125550101",
        "+12125550102",
        "+17165550100",
        "+17165550101",
    ]
    shop.assert_whole()


def test_without_stock_it_waits_and_is_filled_once_when_stock_comes(shop):
    shop.stock("+14165550100", 10, TORONTO)
    shop.stock("+18885550100", 10, FREEPHONE)
    shop.give_free("ord_1")
    shop.world.settle()
    assert pinned(shop) == {}
    assert len(shop.world.messages(HoldAwaitsStock)) == 1
    shop.clock.forward(days=400)
    shop.world.settle()
    assert len(shop.world.messages(HoldAwaitsStock)) == 1

    shop.stock(FIRST, 10)
    shop.stock("+17165550100", 10, BUFFALO)

    assert numbers(shop) == {"ord_1": FIRST}
    assert len(shop.world.messages(HoldPinned)) == 1
    shop.assert_whole()


def test_stock_that_comes_while_it_is_being_asked_is_not_missed(shop):
    shop.give_free("ord_1")
    policy, view = shop.world.consumer("policy:inventory"), shop.world.consumer("stock")
    while policy.step():  # It waits now; the view has seen nothing of it.
        pass
    assert len(shop.world.messages(HoldAwaitsStock)) == 1

    shop.stock(FIRST, 10)

    assert view.position == shop.world.log.head()
    assert numbers(shop) == {"ord_1": FIRST}


def test_who_waits_longest_is_served_first(shop):
    for n in (3, 1, 2):
        shop.give_free(f"ord_{n}", account=f"acct_{n}")
        shop.world.settle()

    shop.stock(FIRST, 2)
    assert numbers(shop) == {"ord_3": FIRST, "ord_1": "+12125550101"}
    asked = len(shop.world.messages(HoldAsked))
    shop.stock("+17165550100", 1, BUFFALO)

    assert numbers(shop)["ord_2"] == "+17165550100"
    assert len(shop.world.messages(HoldAsked)) == asked + 1
    shop.assert_whole()


def test_a_number_that_comes_back_serves_who_waits(shop):
    offer = shop.stock(FIRST, 1)
    quote = shop.hold(some(offer, 1), account="acct_2")
    shop.give_free("ord_1")
    shop.world.settle()
    assert pinned(shop) == {}
    assert len(shop.world.messages(HoldAwaitsStock)) >= 1

    shop.call("release_hold", "acct_2", hold_id=quote["id"])
    shop.world.settle()

    assert numbers(shop) == {"ord_1": FIRST}
    shop.assert_whole()


def test_two_for_the_last_number_and_the_other_waits_for_more(shop):
    shop.stock(FIRST, 1)
    shop.give_free("ord_1", account="acct_1")
    shop.give_free("ord_2", account="acct_2")
    shop.world.settle()
    assert numbers(shop) == {"ord_1": FIRST}

    shop.stock("+17165550100", 1, BUFFALO)

    assert numbers(shop)["ord_2"] == "+17165550100"
    shop.assert_whole()


def test_an_order_that_fails_waits_no_more(shop):
    shop.give_free("ord_1")
    shop.world.settle()
    shop.fail("ord_1")
    shop.world.settle()

    shop.stock(FIRST, 1)

    assert pinned(shop) == {}
    assert [e.reason for e in shop.world.messages(HoldReleased)] == ["order_failed"]
    assert shop.held() == {}


def test_an_account_cannot_release_its_free_number_while_it_waits(shop):
    shop.give_free("ord_1")
    shop.world.settle()

    with pytest.raises(Exception, match="quote_used"):
        shop.call("release_hold", hold_id="ord_1")


@pytest.mark.parametrize("written", [False, True])
def test_it_is_served_once_wherever_it_is_cut_off(shop, tmp_path, empty_files, written):
    for n in count(1):
        shop = Shop(open_world(shutil.copytree(empty_files, tmp_path / f"cut{n}")))
        shop.give_free("ord_1")
        shop.world.settle()
        shop.give_free("ord_2", account="acct_2")
        KillSwitch(shop.world, n, written=written)
        died = dies(lambda shop=shop: (shop.world.settle(), shop.stock(FIRST, 2)))
        shop = Shop(shop.world.restart())
        shop.stock(FIRST, 2)

        shop.world.settle()

        assert sorted(numbers(shop).values()) == [FIRST, "+12125550101"]
        assert len(shop.world.messages(HoldPinned)) == 2
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert n > 6

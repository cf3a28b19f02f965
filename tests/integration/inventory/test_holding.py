"""Quotes: priced holds; what is refused, and what happens when others are faster."""

import pytest

from services.inventory.messages import (
    HoldTriedMore,
    NumbersHeld,
)
from shared.errors import Conflict, NotFound, Unprocessable
from shared.rpc import VIEWER
from tests.integration.inventory.shop import (
    BUFFALO,
    NYC,
    TERMS,
    TORONTO,
    terms,
)
from tests.support.worlds import context

FIRST = "+12125550100"


def some(offer, quantity):
    return {"offer_id": offer, "quantity": quantity}


# Quotes


def test_a_quote_is_a_priced_hold(shop):
    offer = shop.stock(FIRST, 100)

    quote = shop.hold(some(offer, 3))

    assert quote["status"] == "open"
    assert len(set(quote["numbers"])) == 3
    assert quote["missing"] == []
    assert quote["setup_total"]["amount"] == "1.50"
    assert quote["monthly_total"]["amount"] == "3.00"
    assert quote["due_now"] == {"amount": "4.50", "currency": "USD"}
    assert quote["expires_at"] == "2026-01-31T12:10:00Z"
    assert quote["order_id"] is None
    assert quote["position"] == shop.world.log.head()
    (line,) = quote["lines"]
    assert (line["quantity"], line["numbers"]) == (3, quote["numbers"])
    assert line["setup_total"]["amount"] == "1.50"
    assert line["unit_cost"]["amount"] == "1.50"
    shop.world.settle()
    shop.assert_whole()


def test_a_quote_can_be_read_by_its_account_only(shop):
    quote = shop.hold(some(shop.stock(FIRST, 100), 1))

    found = shop.call("get_hold", hold_id=quote["id"])

    assert found | {"position": 0} == quote | {"position": 0}
    for method in ("get_hold", "extend_hold", "release_hold"):
        with pytest.raises(NotFound, match="quote_unknown"):
            shop.call(method, "acct_2", hold_id=quote["id"])
        with pytest.raises(NotFound, match="quote_unknown"):
            shop.call(method, hold_id="qt_x")


def test_who_may_only_look_holds_nothing(shop):
    offer = shop.stock(FIRST, 100)
    viewer = context(key="k", roles=(VIEWER,))

    with pytest.raises(Exception, match="role_required"):
        shop.world.client.call("inventory", "hold_numbers", viewer, items=[some(offer, 1)])
    assert shop.truth() == {}


def test_several_items_are_several_lines(shop):
    new_york, toronto = shop.stock(FIRST, 100), shop.stock("+14165550100", 9, TORONTO)
    dear = shop.stock("+12125550300", 50, NYC, terms(monthly=2_000_000))

    quote = shop.hold(some(new_york, 4), {"number": "+12125550310"}, some(toronto, 9))

    assert [line["offer_id"] for line in quote["lines"]] == [new_york, dear, toronto]
    assert [line["quantity"] for line in quote["lines"]] == [4, 1, 9]
    assert quote["due_now"]["amount"] == "22.00"  # 4 at 1.50, 1 at 2.50, 9 at 1.50


def test_at_most_10_numbers_per_city_over_all_items(shop):
    cheap = shop.stock(FIRST, 100)
    dear = shop.stock("+12125550300", 50, NYC, terms(monthly=2_000_000))
    buffalo = shop.stock("+17165550100", 50, BUFFALO)

    for wanted in (
        (some(cheap, 6), some(dear, 5)),
        (some(cheap, 10), {"number": "+12125550150"}),
        (some(cheap, 5), some(cheap, 6)),
    ):
        with pytest.raises(Unprocessable, match="too_many_per_city"):
            shop.hold(*wanted)
    assert shop.truth() == {}
    assert len(shop.hold(some(cheap, 6), some(dear, 4), some(buffalo, 10))["numbers"]) == 20


@pytest.mark.parametrize("quantity", [0, -1, 11, 1.5, "2", True, None])
def test_a_quantity_is_from_1_to_10(shop, quantity):
    offer = shop.stock(FIRST, 100)

    with pytest.raises(Unprocessable, match="quantity_invalid"):
        shop.hold(some(offer, quantity))


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{}],
        [{"quantity": 1}],
        [{"offer_id": "off_1", "number": FIRST}],
        [{"number": FIRST}, {"number": FIRST}],
    ],
)
def test_items_name_an_offer_or_a_number_once(shop, items):
    shop.stock(FIRST, 100)

    with pytest.raises(Unprocessable, match="items_invalid"):
        shop.hold(*items)
    assert shop.truth() == {}


def test_what_is_no_number_is_refused(shop):
    with pytest.raises(Unprocessable, match="number_invalid"):
        shop.hold({"number": "five"})
    with pytest.raises(Unprocessable, match="strategy is one of"):
        shop.hold({"number": FIRST}, strategy="as_you_like")


def test_a_particular_number_beside_the_rest_of_its_offer(shop):
    offer = shop.stock(FIRST, 4)

    quote = shop.hold(some(offer, 3), {"number": "+12125550102"})

    assert [line["quantity"] for line in quote["lines"]] == [3, 1]
    assert quote["lines"][1]["numbers"] == ["+12125550102"]
    assert len(set(quote["numbers"])) == 4


def test_a_number_nobody_sells_cannot_be_had(shop):
    shop.stock(FIRST, 10)

    with pytest.raises(Conflict, match="number_gone"):
        shop.hold({"number": "+12125550199"})


def test_one_quote_has_one_currency(shop):
    dollars, euros = (
        shop.stock(FIRST, 10),
        shop.stock("+12125550300", 10, NYC, terms(currency="EUR")),
    )

    with pytest.raises(Unprocessable, match="mixed_currency"):
        shop.hold(some(dollars, 1), some(euros, 1))
    assert shop.hold(some(euros, 1))["due_now"]["currency"] == "EUR"


def test_an_account_holds_at_most_100_numbers(shop):
    places = [shop.stock(f"+1212555{n:02d}00", 20, _city(n)) for n in range(11)]
    quotes = [shop.hold(some(offer, 10)) for offer in places[:10]]
    shop.world.settle()

    with pytest.raises(Conflict, match="You hold 100 numbers; at most 100 at once"):
        shop.hold(some(places[10], 1))
    assert len(shop.hold(some(places[10], 1), account="acct_2")["numbers"]) == 1

    shop.call("release_hold", hold_id=quotes[0]["id"])
    shop.world.settle()
    assert len(shop.hold(some(places[10], 10))["numbers"]) == 10


def _city(n):
    return type(NYC)(
        country="US", region="NY", city=f"City {n}", area_code="212", type="geographic"
    )


def test_the_same_key_is_the_same_quote_also_later(shop):
    offer = shop.stock(FIRST, 100)
    first = shop.hold(some(offer, 3), key="k1")

    again = shop.hold(some(offer, 3), key="k1")
    shop.world.settle()
    shop.clock.forward(minutes=5)

    assert again == first
    assert shop.hold(some(offer, 3), key="k1") == first
    assert len(shop.held()) == 3
    assert shop.hold(some(offer, 3), key="k2")["id"] != first["id"]


def test_the_same_key_after_the_end_is_the_quote_that_ended(shop):
    offer = shop.stock(FIRST, 100)
    first = shop.hold(some(offer, 3), key="k1")
    shop.world.settle()
    shop.clock.forward(minutes=10)
    shop.world.settle()

    again = shop.hold(some(offer, 3), key="k1")

    assert again["status"] == "expired"
    assert again["numbers"] == first["numbers"]
    assert shop.held() == {}


def test_a_refusal_is_repeated_for_the_same_key(shop):
    offer = shop.stock(FIRST, 2)

    for _ in range(2):
        with pytest.raises(Conflict, match="number_gone"):
            shop.hold(some(offer, 3), key="k1")
        shop.world.settle()

    assert shop.held() == {}
    assert len(shop.world.messages(NumbersHeld)) == 1


def test_buyers_are_spread_over_the_offer(shop):
    offer = shop.stock(FIRST, 1000, NYC, TERMS)

    firsts = [shop.hold(some(offer, 1), account=f"acct_{n}")["numbers"][0] for n in range(20)]

    assert len(set(firsts)) == 20
    assert len(shop.world.messages(HoldTriedMore)) <= 3


# Others were faster


def test_a_candidate_taken_meanwhile_is_replaced(shop):
    offer = shop.stock(FIRST, 6)
    first = shop.hold(some(offer, 3))  # The view does not know of it yet.

    second = shop.hold(some(offer, 3), account="acct_2")

    assert len(set(first["numbers"] + second["numbers"])) == 6
    assert shop.world.messages(HoldTriedMore)
    shop.world.settle()
    shop.assert_whole()


def test_numbers_are_gone_only_when_none_is_left(shop):
    offer = shop.stock(FIRST, 10)
    for account in range(9):
        shop.hold(some(offer, 1), account=f"acct_{account}")

    last = shop.hold(some(offer, 1), account="acct_9")

    assert len(last["numbers"]) == 1
    with pytest.raises(Conflict, match="number_gone"):
        shop.hold(some(offer, 1), account="acct_10")


def test_all_or_nothing_gives_everything_back(shop):
    new_york, buffalo = shop.stock(FIRST, 100), shop.stock("+17165550100", 2, BUFFALO)

    with pytest.raises(Conflict, match="number_gone"):
        shop.hold(some(new_york, 5), some(buffalo, 3))
    shop.world.settle()

    assert shop.held() == {}
    shop.assert_whole()


def test_best_effort_keeps_what_it_got(shop):
    new_york, buffalo = shop.stock(FIRST, 100), shop.stock("+17165550100", 2, BUFFALO)

    quote = shop.hold(some(new_york, 5), some(buffalo, 3), strategy="best_effort")

    assert [line["quantity"] for line in quote["lines"]] == [5, 2]
    assert quote["missing"] == [{"offer_id": buffalo, "quantity": 1, "code": "number_gone"}]
    assert quote["status"] == "open"
    shop.world.settle()
    shop.assert_whole()


def test_best_effort_with_nothing_at_all_is_refused(shop):
    offer = shop.stock(FIRST, 1)
    shop.hold(some(offer, 1))

    with pytest.raises(Conflict, match="number_gone"):
        shop.hold(some(offer, 1), {"number": FIRST}, account="acct_2", strategy="best_effort")

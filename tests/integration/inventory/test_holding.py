"""Holding numbers: quotes, orders' holds, crashes in the middle, and what comes too late."""

import shutil
from itertools import count

import pytest

from services.inventory.messages import (
    AskHold,
    HoldAllocated,
    HoldAsked,
    HoldNumber,
    HoldPinned,
    HoldRefused,
    HoldReleased,
    HoldTriedMore,
    Item,
    NumberAllocated,
    NumbersHeld,
    RecordHeld,
    ReleaseNumber,
)
from shared.errors import Conflict, Gone, NotFound, Unprocessable
from shared.rpc import VIEWER
from tests.integration.inventory.crashes import KillSwitch, Overtaker, dies
from tests.integration.inventory.shop import (
    BUFFALO,
    NYC,
    TERMS,
    TORONTO,
    Shop,
    open_world,
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


# An order's hold


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


# Cut off in the middle


@pytest.fixture(scope="module")
def contested_files(tmp_path_factory, empty_files):
    """Three numbers of six are taken and the view does not know: a hold has to try more."""
    folder = shutil.copytree(empty_files, tmp_path_factory.mktemp("contested") / "data")
    shop = Shop(open_world(folder))
    offer = shop.stock(FIRST, 6)
    shop.hold(some(offer, 3), account="acct_2", key="rival")
    shop.world.close()
    return folder, offer


@pytest.fixture
def contested(tmp_path, contested_files):
    """Makes shops of that kind, each on files of its own. Who makes one closes it."""
    folder, offer = contested_files
    numbers = count()

    def make():
        files = shutil.copytree(folder, tmp_path / f"data{next(numbers)}")
        return Shop(open_world(files)), offer

    return make


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("settled", [False, True])
def test_a_hold_that_is_cut_off_anywhere_can_be_repeated(contested, written, settled):
    for n in count(1):
        shop, offer = contested()
        switch = KillSwitch(shop.world, n, written=written)
        died = dies(lambda shop=shop, offer=offer: shop.hold(some(offer, 3), key="mine"))
        assert died == switch.reached
        shop = Shop(shop.world.restart())
        if settled:
            shop.world.settle()

        quote = shop.hold(some(offer, 3), key="mine")

        assert quote["status"] == "open"
        assert len(set(quote["numbers"])) == 3
        assert shop.hold(some(offer, 3), key="mine")["numbers"] == quote["numbers"]
        shop.world.settle()
        assert len(shop.held()) == 6
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert n > 4  # Asked, held, tried more, held, recorded.


@pytest.mark.parametrize("written", [False, True])
def test_a_hold_that_is_cut_off_and_never_repeated_expires(contested, written):
    for n in count(1):
        shop, offer = contested()
        KillSwitch(shop.world, n, written=written)
        died = dies(lambda shop=shop, offer=offer: shop.hold(some(offer, 3), key="mine"))
        shop = Shop(shop.world.restart())
        shop.world.settle()
        shop.clock.forward(minutes=10)

        shop.world.settle()

        assert shop.held() == {}
        assert shop.search()[0]["available"] == 6
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert n > 4


@pytest.mark.parametrize("written", [False, True])
def test_an_order_that_is_cut_off_anywhere_is_served_all_the_same(contested, written):
    for n in count(1):
        shop, offer = contested()
        shop.place("ord_1", "", Item(offer_id=offer, quantity=3))
        KillSwitch(shop.world, n, written=written)
        died = dies(shop.world.settle)
        shop = Shop(shop.world.restart())
        shop.world.settle()
        assert len(shop.world.messages(HoldPinned)) == 1
        shop.assert_whole()
        shop.pay("ord_1")
        switch = KillSwitch(shop.world, n, written=written)
        died = dies(shop.world.settle) or died
        shop = Shop(shop.world.restart())

        shop.world.settle()

        (allocated,) = shop.world.messages(HoldAllocated)
        assert (len(allocated.numbers), allocated.refused) == (3, ())
        assert len(shop.world.messages(NumberAllocated)) == 3
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert switch.count < n
    assert n > 4


@pytest.mark.parametrize("written", [False, True])
def test_a_refused_order_that_is_cut_off_anywhere_leaves_nothing_held(contested, written):
    for n in count(1):
        shop, offer = contested()
        shop.place("ord_1", "", Item(offer_id=offer, quantity=5))
        KillSwitch(shop.world, n, written=written)
        died = dies(shop.world.settle)
        shop = Shop(shop.world.restart())

        shop.world.settle()

        assert [e.order_id for e in shop.world.messages(HoldRefused)] == ["ord_1"]
        assert len(shop.held()) == 3  # The rival's.
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert n > 4


# Too late


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


@pytest.mark.parametrize("settled", [False, True])
def test_two_at_once_for_one_key_leave_nothing_behind(contested, settled):
    """The slow one is overtaken before each of its appends, by one who may know more."""
    for n in count(1):
        shop, offer = contested()

        def overtake(shop=shop, offer=offer):
            if settled:
                shop.world.settle()
            return shop.hold(some(offer, 2), key="mine")

        overtaker = Overtaker(shop.world, n, overtake)

        slow = shop.hold(some(offer, 2), key="mine")

        if not overtaker.reached:
            break
        assert slow["numbers"] == overtaker.result["numbers"]
        shop.world.settle()
        assert len(shop.held()) == 5
        shop.assert_whole()
        shop.world.close()
    assert n > 3


def test_a_hold_that_ends_while_it_is_being_filled_is_no_quote(contested):
    shop, offer = contested()
    ids = []

    def release():
        (asked,) = (e for e in shop.world.messages(HoldAsked) if e.account_id == "acct_1")
        ids.append(asked.hold_id)
        return shop.call("release_hold", hold_id=asked.hold_id)

    Overtaker(shop.world, 2, release)  # After it was asked for, before a number is held.
    with pytest.raises(Gone, match="quote_expired"):
        shop.hold(some(offer, 3), key="mine")
    shop.world.settle()

    assert shop.load(ids[0]).status == "ended"
    assert len(shop.held()) == 3
    shop.assert_whole()
    shop.world.close()


def test_what_a_cut_off_try_held_and_lost_again_is_replaced(shop):
    offer = shop.stock(FIRST, 2)
    KillSwitch(shop.world, 2, written=True)
    assert dies(lambda: shop.hold(some(offer, 1), key="mine"))
    shop = Shop(shop.world.restart())
    ((number, hold_id),) = shop.held().items()
    shop.world.execute(ReleaseNumber(number=number, hold_id=hold_id))
    rival = shop.hold({"number": number}, account="acct_2")

    quote = shop.hold(some(offer, 1), key="mine")

    assert set(quote["numbers"]) == {FIRST, "+12125550101"} - set(rival["numbers"])
    shop.world.settle()
    shop.assert_whole()
    shop.world.close()

"""Searching: what is for sale, counted without a row for a number nobody touched."""

import json

import pytest

from services.inventory.messages import WithdrawBlock
from shared.errors import Unprocessable
from tests.integration.inventory.shop import (
    BUFFALO,
    FREEPHONE,
    NYC,
    TERMS,
    TORONTO,
    Place,
    Shop,
    open_world,
    stocked,
    terms,
)

MONTREAL = Place(country="CA", region="QC", city="Montréal", area_code="514", type="geographic")
OWN_FIELDS = {
    "offer_id",
    "prefix",
    "country",
    "region",
    "city",
    "area_code",
    "type",
    "setup_fee",
    "monthly_fee",
    "min_period_months",
    "per_minute",
    "connect_fee",
    "billing_increments",
    "sms",
    "available",
    "max_quantity",
    "unit_cost",
    "requirements",
}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Five places, one of them at two terms. For looking only."""
    shop = Shop(open_world(tmp_path_factory.mktemp("full") / "data"))
    shop.stock("+12125550100", 100)
    shop.stock("+12125550300", 50, NYC, terms(sms=False))
    shop.stock("+17165550100", 5, BUFFALO)
    shop.stock("+18885550100", 100, FREEPHONE)
    shop.stock("+14165550100", 100, TORONTO)
    shop.stock("+15145550100", 100, MONTREAL)
    yield shop
    shop.world.close()


def cities(rows):
    return [row["city"] for row in rows]


def test_a_row_is_an_offer_as_promised(full):
    (row,) = full.search(city="New York", sms=True)

    assert set(row) == OWN_FIELDS
    assert row["prefix"] == "+1212"
    assert row["available"] == 100
    assert row["max_quantity"] == 10
    assert row["setup_fee"] == {"amount": "0.50", "currency": "USD"}
    assert row["unit_cost"] == {"amount": "1.50", "currency": "USD"}
    assert row["requirements"] == []
    assert json.dumps(row)


def test_rows_come_by_city_then_prefix(full):
    rows = full.search()

    assert cities(rows) == ["", "Buffalo", "New York", "New York"]
    assert [row["max_quantity"] for row in rows[:2]] == [10, 5]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": "toll_free"}, [""]),
        ({"type": "mobile"}, []),
        ({"region": "NY"}, ["Buffalo", "New York", "New York"]),
        ({"region": "TX"}, []),
        ({"area_code": "716"}, ["Buffalo"]),
        ({"area_code": "21"}, []),
        ({"city": "new york"}, ["New York", "New York"]),
        ({"city": "NEW  YORK"}, []),
        ({"city": "York"}, []),
        ({"sms": False}, ["New York"]),
        ({"sms": True}, ["", "Buffalo", "New York"]),
        ({"contains": "212555"}, ["New York", "New York"]),
        ({"contains": "0300"}, ["New York"]),
        ({"region": "NY", "sms": True, "contains": "0104"}, ["Buffalo", "New York"]),
        ({"type": "geographic", "area_code": "212", "city": "Buffalo"}, []),
    ],
)
def test_filters_narrow_the_search_down(full, filters, expected):
    assert cities(full.search(**filters)) == expected


@pytest.mark.parametrize("city", ["Montréal", "montreal", "MONTRÉAL", "Montre\u0301al"])
def test_a_city_is_found_in_any_case_with_and_without_accents(full, city):
    assert cities(full.search("CA", city=city)) == ["Montréal"]


@pytest.mark.parametrize("country", ["XX", "", "us1", "'; --"])
def test_an_unknown_country_has_nothing(full, country):
    assert full.search(country) == []


def test_a_country_is_found_in_any_case(full):
    assert len(full.search("us")) == len(full.search("US")) == 4


def test_countries_say_what_can_be_searched_for(full):
    canada, america = full.call("list_countries")

    assert canada == {
        "code": "CA",
        "name": "Canada",
        "types": ["geographic"],
        "regions": [{"code": "ON", "name": "Ontario"}, {"code": "QC", "name": "Quebec"}],
        "area_codes": ["416", "514"],
    }
    assert america["types"] == ["geographic", "toll_free"]
    assert america["regions"] == [{"code": "NY", "name": "New York"}]


def test_offers_that_are_sold_out_are_left_out(shop):
    offer = shop.stock("+17165550100", 5, BUFFALO)
    shop.stock("+12125550100", 100)

    shop.hold({"offer_id": offer, "quantity": 5})
    shop.world.settle()

    assert cities(shop.search()) == ["New York"]
    assert cities(shop.search(contains="5550104")) == ["New York"]
    assert len(shop.call("list_countries")) == 1


def test_counts_follow_what_is_held_and_given_back(shop):
    offer = shop.stock("+12125550100", 100)
    quote = shop.hold({"offer_id": offer, "quantity": 7})
    shop.world.settle()
    assert shop.search()[0]["available"] == 93

    shop.call("release_hold", hold_id=quote["id"])
    shop.world.settle()

    assert shop.search()[0]["available"] == 100
    shop.assert_whole()


def test_counts_with_digits_are_those_of_a_plain_scan(shop):
    offer = shop.stock("+12125550050", 250)
    for account in range(5):
        shop.hold({"offer_id": offer, "quantity": 10}, account=f"acct_{account}")
    shop.world.settle()
    free = {f"+{n}" for n in range(12125550050, 12125550300)} - set(shop.held())

    for digits in ("212", "555", "5501", "501", "0137", "999", "2125550299", "1212555"):
        expected = sorted(n for n in free if digits in n)
        rows = shop.search(contains=digits)
        assert [row["available"] for row in rows] == [len(expected)][: len(expected)]
        listed = shop.walk("list_offer_numbers", offer_id=offer, contains=digits)
        assert [row["number"] for row in listed] == expected


@pytest.mark.parametrize("digits", ["abc", "12a", "٣٣٣", "+12", "1 2 3", "-123"])
def test_only_digits_can_be_contained(full, digits):
    with pytest.raises(Unprocessable, match="contains takes digits only"):
        full.search(contains=digits)


@pytest.mark.parametrize("digits", ["1", "12", "01234567890"])
def test_a_search_takes_3_to_10_digits(full, digits):
    with pytest.raises(Unprocessable, match="contains takes 3 to 10 digits"):
        full.search(contains=digits)


def test_a_cursor_walks_every_row_once_while_the_stock_changes(shop):
    offers = []
    for n in range(25):
        place = Place(
            country="US", region="NY", city=f"City {n % 7}", area_code="212", type="geographic"
        )
        offers.append(shop.stock(f"+1212555{n:02d}00", 10, place, terms(monthly=1_000_000 + n)))
    seen, after = [], None
    while True:
        page = shop.call("search_available", country="US", limit=4, after=after)
        seen += [row["offer_id"] for row in page["data"]]
        shop.hold({"offer_id": seen[-1], "quantity": 3}, account=f"acct_{len(seen)}")
        shop.world.settle()
        after = page["next"]
        if after is None:
            break

    assert sorted(seen) == sorted(offers)


def test_pages_of_any_size_have_the_same_rows_in_the_same_order(shop):
    shop.stock("+12125550100", 100)
    rows = 25
    for n in range(rows):
        shop.stock(f"+17165{n:02d}0100", 10, BUFFALO, terms(monthly=1_000_000 + n))
    everything = shop.search(city="Buffalo", limit=100)

    assert len(everything) == rows
    for limit in (1, 3, 24, 25, 26, 100):
        found = shop.walk("search_available", country="US", city="Buffalo", limit=limit)
        assert found == everything
        some = shop.walk("search_available", country="US", contains="100", limit=limit)
        assert len(some) == rows + 1


@pytest.mark.parametrize("cursor", ["x", "e30", ""])
def test_a_strange_cursor_is_refused(full, cursor):
    with pytest.raises(Unprocessable, match="invalid_cursor"):
        full.call("search_available", country="US", after=cursor)
    with pytest.raises(Unprocessable, match="invalid_cursor"):
        full.staff("get_stock", after=cursor)


def test_a_page_has_at_most_100_rows(full):
    for method in ("search_available", "list_offer_numbers"):
        with pytest.raises(Unprocessable, match="limit"):
            full.call(
                method, limit=101, **{"country": "US"} if "se" in method else {"offer_id": ""}
            )


def test_a_repriced_block_is_another_offer(shop):
    old = shop.stock("+12125550100", 100)
    quote = shop.hold({"offer_id": old, "quantity": 3})

    new = shop.stock("+12125550100", 100, NYC, terms(monthly=2_000_000))

    (row,) = shop.search()
    assert (row["offer_id"], row["available"]) == (new, 97)
    assert new != old
    with pytest.raises(Exception, match="offer_changed") as caught:
        shop.hold({"offer_id": old, "quantity": 1})
    assert type(caught.value).__name__ == "Conflict"
    assert shop.call("get_hold", hold_id=quote["id"])["monthly_total"]["amount"] == "3.00"
    shop.call("release_hold", hold_id=quote["id"])
    shop.world.settle()
    assert shop.search()[0]["available"] == 100
    shop.assert_counts()


def test_an_old_price_that_comes_back_is_the_old_offer(shop):
    old = shop.stock("+12125550100", 100)
    shop.stock("+12125550100", 100, NYC, terms(monthly=2_000_000))

    again = shop.stock("+12125550100", 100)

    assert again == old
    assert shop.hold({"offer_id": old, "quantity": 1})["lines"][0]["quantity"] == 1


def test_a_withdrawn_block_is_not_for_sale(shop):
    offer = shop.stock("+12125550100", 10)
    shop.stock("+12125550200", 10)
    shop.world.execute(WithdrawBlock(block_id="+12125550100", reason="returned"))
    shop.world.settle()

    assert shop.search()[0]["available"] == 10
    assert shop.search(contains="0100") == []
    listed = [row["number"] for row in shop.walk("list_offer_numbers", offer_id=offer)]
    assert listed == [f"+1212555020{n}" for n in range(10)]
    quote = shop.hold({"offer_id": offer, "quantity": 10})
    assert sorted(quote["numbers"]) == listed
    with pytest.raises(Exception, match="number_gone"):
        shop.hold({"number": "+12125550105"}, account="acct_2")
    shop.world.settle()
    shop.assert_whole()


def test_a_withdrawn_block_comes_back_without_what_was_sold(shop):
    offer = shop.stock("+12125550100", 10)
    shop.hold({"offer_id": offer, "quantity": 3})
    shop.world.settle()
    shop.world.execute(WithdrawBlock(block_id="+12125550100", reason="returned"))
    shop.world.settle()
    assert shop.search() == []

    shop.stock("+12125550100", 10)

    assert shop.search()[0]["available"] == 7
    shop.assert_whole()


def test_a_number_nobody_touched_costs_nothing(shop):
    offer = shop.stock("+12125550000", 10_000, NYC, TERMS)
    assert shop.rows_and_streams() == (0, 0)

    shop.hold({"offer_id": offer, "quantity": 10})
    shop.search(contains="555")
    shop.walk("list_offer_numbers", offer_id=offer, contains="777")
    shop.world.settle()

    assert shop.rows_and_streams() == (10, 10)
    assert stocked(shop) == 10_000


def test_the_back_office_sees_blocks_with_what_is_left(shop):
    shop.stock("+12125550100", 100)
    offer = shop.stock("+14165550100", 10, TORONTO)
    shop.hold({"offer_id": offer, "quantity": 4})
    shop.world.settle()

    page = shop.staff("get_stock", limit=1)
    (row,) = shop.staff("get_stock", country="ca")["data"]

    assert page["data"][0]["first_number"] == "+12125550100"
    assert shop.staff("get_stock", limit=1, after=page["next"])["data"] == [row]
    assert (row["count"], row["available"], row["withdrawn"]) == (10, 6, False)
    assert row["offer"]["offer_id"] == offer
    with pytest.raises(Exception, match="staff_only"):
        shop.call("get_stock")

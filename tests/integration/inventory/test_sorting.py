"""Offers in any order, page by page, while the stock changes; and what helps a search along."""

import pytest

from services.inventory.sorting import LEADING
from shared.errors import Unprocessable
from tests.integration.inventory.shop import (
    BUFFALO,
    FREEPHONE,
    NYC,
    Place,
    Shop,
    open_world,
    terms,
)

ALBANY = Place(country="US", region="NY", city="Albany", area_code="518", type="geographic")
NEWARK = Place(country="US", region="NJ", city="Newark", area_code="973", type="geographic")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Six offers that differ in everything one can sort by. For looking only."""
    shop = Shop(open_world(tmp_path_factory.mktemp("full") / "data"))
    shop.stock("+12125550100", 100)
    shop.stock("+12125550300", 50, NYC, terms(sms=False, monthly=9_000_000))
    shop.stock("+17165550100", 5, BUFFALO, terms(setup=0, monthly=2_000_000, currency="EUR"))
    shop.stock("+15185550100", 20, ALBANY, terms(per_minute=5, connect_fee=7))
    shop.stock("+19735550100", 30, NEWARK, terms(min_period_months=12, monthly=10_000_000))
    shop.stock("+18885550100", 70, FREEPHONE)
    yield shop
    shop.world.close()


def values(rows, *path):
    for step in path:
        rows = [row[step] for row in rows]
    return rows


@pytest.mark.parametrize("sort", [*LEADING, *(f"-{name}" for name in LEADING)])
@pytest.mark.parametrize("more", [{}, {"contains": "5550"}])
def test_pages_of_any_size_walk_every_offer_once_in_the_same_order(full, sort, more):
    whole = full.search(sort=sort, **more)

    assert len({row["offer_id"] for row in whole}) == 6
    for limit in (1, 2, 5):
        paged = full.walk("search_available", country="US", sort=sort, limit=limit, **more)
        assert paged == whole


def test_amounts_are_sorted_as_numbers_and_never_across_currencies(full):
    rising = full.search(sort="monthly")
    falling = full.search(sort="-unit_cost")

    assert values(rising, "monthly_fee", "amount") == [
        "2.00", "1.00", "1.00", "1.00", "9.00", "10.00",
    ]  # fmt: skip
    assert values(rising, "monthly_fee", "currency") == ["EUR", *["USD"] * 5]
    assert values(falling, "unit_cost", "amount")[:2] == ["10.50", "9.50"]


def test_equal_rows_come_by_city_then_prefix_in_either_direction(full):
    assert values(full.search(sort="min_period"), "city")[:3] == ["", "Albany", "Buffalo"]
    assert values(full.search(sort="-min_period"), "city")[:3] == ["Newark", "", "Albany"]
    assert full.search(sort="city") == full.search()


def test_what_is_available_is_sorted_by_what_is_shown(full):
    assert values(full.search(sort="-available"), "available") == [100, 70, 50, 30, 20, 5]
    counted = values(full.search(sort="-available", contains="55501"), "available")
    assert counted == sorted(counted, reverse=True)
    assert counted != [100, 70, 50, 30, 20, 5]


@pytest.mark.parametrize("sort", ["nothing", "--city", "offer_id", "city desc"])
def test_an_order_that_is_none_is_refused(full, sort):
    with pytest.raises(Unprocessable) as error:
        full.search(sort=sort)
    assert error.value.code == "invalid_value"


@pytest.mark.parametrize("cursor", ["WyJhIiwgImIiLCAiYyIsICJkIiwgImUiXQ", "x"])
def test_a_cursor_of_another_order_is_refused(full, cursor):
    with pytest.raises(Unprocessable) as error:
        full.search(sort="monthly", after=cursor)
    assert error.value.code == "invalid_cursor"


def test_an_offer_that_comes_meanwhile_moves_nobody_to_another_page(shop):
    for n, fee in enumerate((3, 1, 2)):
        shop.stock(f"+1212555{n}000", 10, NYC, terms(monthly=fee * 1_000_000))
    first = shop.call("search_available", country="US", sort="-monthly", limit=1)
    shop.stock("+12125559000", 10, NYC, terms(monthly=9_000_000))

    rest = shop.call("search_available", country="US", sort="-monthly", after=first["next"])

    assert values(first["data"], "monthly_fee", "amount") == ["3.00"]
    assert values(rest["data"], "monthly_fee", "amount") == ["2.00", "1.00"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["Albany", "Buffalo", "New York", "Newark"]),
        ({"begins": "NEW"}, ["New York", "Newark"]),
        ({"begins": "new", "region": "NJ"}, ["Newark"]),
        ({"begins": "", "limit": 1}, ["Albany"]),
        ({"begins": "%"}, []),
        ({"begins": "x"}, []),
        ({"begins": "Buf", "city": "Albany"}, ["Buffalo"]),
    ],
)
def test_cities_are_suggested_by_their_beginning(full, wanted, expected):
    found = full.call("suggest_cities", country="US", **wanted)

    assert values(found, "name") == expected


def test_a_suggested_city_says_how_many_numbers_it_has(full):
    (found,) = full.call("suggest_cities", country="US", begins="new york")

    assert found["available"] == 150


def test_what_is_found_without_each_filter_is_counted(full):
    found = full.call("count_without", country="US", region="NJ", city="Buffalo", sms=True)

    assert found == [
        {"filter": "region", "offers": 1},
        {"filter": "city", "offers": 1},
        {"filter": "all", "offers": 6},
    ]


def test_digits_are_counted_as_exactly_as_they_are_found(full):
    found = full.call("count_without", country="US", area_code="716", contains="5550199")

    assert {"filter": "area_code", "offers": len(full.search(contains="5550199"))} in found


def test_what_was_chosen_is_looked_up(shop):
    offer = shop.stock("+12125550100", 10)
    mine = shop.hold({"number": "+12125550101"})
    shop.hold({"number": "+12125550102"}, account="acct_2")
    shop.world.settle()
    wanted = ["+12125550100", "+12125550101", "+12125550102", "+13105550100"]

    found = shop.call(
        "look_up_items",
        items=[{"offer_id": offer}, {"offer_id": "off_x"}, *({"number": n} for n in wanted)],
    )

    assert values(found, "left") == [8, 0, 1, 0, 0, 0]
    assert values(found, "hold_id") == [None, None, None, mine["id"], None, None]
    assert [row["offer"] and row["offer"]["offer_id"] for row in found] == [
        offer, None, offer, offer, offer, None,
    ]  # fmt: skip

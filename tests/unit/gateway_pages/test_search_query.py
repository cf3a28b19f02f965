"""A search stands in its address as a whole: filters, what is opened, what is chosen."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.datastructures import MultiDict

from services.gateway.pages.search_query import fitting, longer, query_from

US = {
    "code": "US",
    "types": ["geographic"],
    "regions": [{"code": "NY", "name": "New York"}],
    "area_codes": ["212"],
}


def asked(*pairs):
    return query_from(MultiDict(pairs))


def test_an_address_brings_the_same_search_back():
    query = asked(
        ("country", "US"),
        ("region", "NY"),
        ("sms", "1"),
        ("open", "off_1"),
        ("quantity.off_1", "2"),
        ("number", "+12125550100"),
        ("run", "+12125550110"),
        ("sort", "-monthly"),
        ("show", "60"),
    )

    again = query_from(MultiDict(parse_qsl(urlsplit(query.address()).query)))

    assert again == query


def test_what_is_chosen_becomes_items():
    query = asked(("quantity.off_2", "3"), ("quantity.off_1", "0"), ("number", "+12125550100"))

    assert query.items() == [{"offer_id": "off_2", "quantity": 3}, {"number": "+12125550100"}]


@pytest.mark.parametrize("typed", ["-1", "x", "", "1e3", "٣", "99999999999999"])
def test_a_quantity_that_is_none_counts_as_nothing(typed):
    assert asked(("quantity.off_1", typed)).items() == []


def test_a_quantity_is_ten_at_most():
    assert asked(("quantity.off_1", "99")).items() == [{"offer_id": "off_1", "quantity": 10}]


def test_lists_follow_the_country():
    query = fitting(asked(("country", "US"), ("region", "NSW"), ("area_code", "212")), US)

    assert query.filters["region"] == ""
    assert query.filters["area_code"] == "212"


def test_without_a_country_nothing_is_asked():
    query = query_from(MultiDict(), "US")

    assert query.filters["country"] == "US"
    assert not query.asked


def test_more_rows_are_shown_up_to_a_limit():
    assert longer(asked(("show", "20"))) == 60
    assert longer(asked(("show", "500"))) is None
    assert asked(("show", "100000")).show == 20
    assert asked(("show", "20"), ("more", "60")).show == 60


def test_sms_is_asked_for_only_when_wanted():
    assert "sms" not in asked(("country", "US")).arguments()
    assert asked(("country", "US"), ("sms", "1")).arguments()["sms"] is True


def test_a_run_is_ten_numbers_and_none_of_them_is_bought_twice():
    query = asked(("run", "+12125550195"), ("number", "+12125550200"), ("number", "+12125550205"))

    numbers = [item["number"] for item in query.items()]
    assert numbers == [*(f"+1212555{n:04}" for n in range(195, 205)), "+12125550205"]


@pytest.mark.parametrize("typed", ["", "nothing", "--city", "-", "city desc", "Monthly"])
def test_an_order_that_is_none_is_by_city(typed):
    query = asked(("country", "US"), ("sort", typed))

    assert query.sort == "city"
    assert "sort" not in query.address()


def test_a_click_on_a_head_wins_over_the_order_so_far():
    assert asked(("sort", "city"), ("sort_by", "-sms")).sort == "-sms"


def test_leaving_out_one_filter_keeps_the_others_and_what_is_chosen():
    query = asked(
        ("country", "US"), ("digits", "555"), ("city", "Albany"), ("number", "+12125550100")
    )

    assert query.without("contains").address() == (
        "/search?country=US&city=Albany&number=%2B12125550100&show=20"
    )
    assert query.without("all").filters["city"] == ""


def test_a_row_that_is_shut_is_open_no_more():
    assert asked(("open", "off_1"), ("open", "off_2"), ("shut", "off_1")).opened == ("off_2",)


def test_with_lists_nothing_is_searched_and_the_address_says_so():
    query = asked(("country", "US"), ("lists", "1"))

    assert not query.asked
    assert "lists=1" in query.address()

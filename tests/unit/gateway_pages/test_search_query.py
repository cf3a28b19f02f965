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

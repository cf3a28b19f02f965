"""What the address of the list of numbers means, and how its links change it."""

import pytest
from werkzeug.datastructures import MultiDict
from werkzeug.urls import iri_to_uri

from services.gateway.pages.number_columns import COLUMNS, Shown, kept, shown_from
from services.gateway.pages.number_query import TABS, query_from


def query(**sent):
    return query_from(MultiDict(sent))


def test_an_address_says_the_same_again():
    sent = {"tab": "pending", "q": "+1 212", "type": "mobile", "sort": "-city", "after": "x"}

    assert query_from(MultiDict(sent)).address() == (
        "/numbers?tab=pending&q=%2B1+212&type=mobile&sort=-city&after=x"
    )
    assert iri_to_uri(query().address()) == "/numbers"


@pytest.mark.parametrize(
    ("sent", "tab"),
    [
        ({}, "active"),
        ({"tab": "released"}, "released"),
        ({"tab": "nonsense"}, "active"),
        ({"status": "failed"}, "released"),
        ({"status": "porting"}, "pending"),
        ({"tab": "cancelling", "status": "failed"}, "cancelling"),
    ],
)
def test_a_status_leads_to_its_tab(sent, tab):
    found = query(**sent)

    assert found.tab == tab
    assert set(found.statuses()) <= set(TABS[tab])


def test_what_an_address_cannot_mean_is_passed_over():
    found = query(status="x", type="x", sms="x", country="Italy", sort="x;", tab="<b>")

    assert not found.filtered
    assert found.address() == "/numbers"


def test_a_page_has_one_beginning():
    found = query(after="a", before="b")

    assert (found.after, found.before) == ("a", "")


def test_another_tab_keeps_the_filters_but_status_and_place():
    found = query(tab="released", status="failed", q="x", sort="city", after="y")

    assert found.in_tab("active").address() == "/numbers?q=x&sort=city"
    assert found.without("q").address() == "/numbers?tab=released&status=failed&sort=city"
    assert found.plain().address() == "/numbers?tab=released&sort=city"
    assert found.labelled("a & b").address() == "/numbers?tab=released&label=a+%26+b&sort=city"


def test_a_column_is_sorted_up_then_down_from_the_first_page():
    first = query(after="x").sorted_by("city")
    second = first.sorted_by("city")

    assert (first.sort, first.after, first.direction("city")) == ("city", "", "ascending")
    assert (second.sort, second.direction("city")) == ("-city", "descending")
    assert second.direction("type") == "none"


def test_counting_leaves_the_status_to_the_tabs():
    found = query(status="suspended", sms="0", label="VIP")

    assert found.counting() == {"sms": False, "label": "VIP"}
    assert found.listing()["statuses"] == ["suspended"]


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [
        (None, Shown(COLUMNS, 50)),
        ("20.city-labels", Shown(("labels", "city"), 20)),
        ("100.", Shown((), 100)),
        ("9.nonsense-<b>", Shown((), 50)),
        ("", Shown((), 50)),
    ],
)
def test_a_cookie_says_columns_and_size(cookie, shown):
    assert kept(cookie) == shown
    assert kept(shown.text()) == shown


def test_columns_stand_in_their_order_whatever_the_form_says():
    assert shown_from("20", ["status", "labels", "labels"]).columns == ("labels", "status")

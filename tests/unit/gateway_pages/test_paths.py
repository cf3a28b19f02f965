"""Where the pages send somebody is always a path of this site."""

import pytest
from flask import Flask

from services.gateway.pages.paths import HOME, own_path, went_from, with_query


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/numbers\r\nSet-Cookie: a=b",
        "/\tevil",
        "numbers",
        "",
        None,
    ],
)
def test_another_site_is_never_gone_to(wanted):
    assert own_path(wanted) == HOME


@pytest.mark.parametrize("wanted", ["/search?country=US&city=New%20York", "/orders/ord_1", "/"])
def test_a_path_of_this_site_is_kept(wanted):
    assert own_path(wanted) == wanted


def test_empty_values_are_left_out_of_an_address():
    assert with_query("/numbers", q="a&b", status="", after=None) == "/numbers?q=a%26b"
    assert with_query("/search?country=US", problem="number_gone").count("?") == 1


def test_a_form_was_sent_from_the_page_that_refers():
    headers = {"Referer": "http://here.example/checkout/qt_1?back=%2Fsearch"}

    with Flask("test").test_request_context(
        "/x", method="POST", headers=headers, base_url="http://here.example"
    ):
        assert went_from() == "/checkout/qt_1?back=%2Fsearch"


def test_a_form_of_another_site_leads_home():
    headers = {"Referer": "http://evil.example/checkout"}

    with Flask("test").test_request_context(
        "/x", method="POST", headers=headers, base_url="http://here.example"
    ):
        assert went_from() == HOME

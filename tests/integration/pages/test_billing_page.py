"""The Billing page without a browser: sections, paging, and what a form leads to."""

import re

import pytest

from tests.integration.gateway.conftest import payments
from tests.integration.gateway.sites import STOCK, make_site
from tests.integration.pages.visitors import hidden, signed_in

HEAD = STOCK.splitlines()[0]
CHEAP = "US,NY,Buffalo,716,geographic,+17165550100,90,true,0.00,0.30,1,0.0085,0.00,USD,60/1"

__all__ = ["payments"]


@pytest.fixture(scope="module")
def paid_shop(tmp_path_factory, payments):
    """An installation with payments, and numbers that cost too little to be charged."""
    made = make_site(tmp_path_factory.mktemp("billing") / "data", payments).stocked()
    headers = {"Idempotency-Key": "cheap", "Content-Type": "text/csv"}
    made.staff().ask("POST", "/v1/stock/imports", data=f"{HEAD}\n{CHEAP}\n", headers=headers)
    made.settle()
    yield made
    made.stop()


@pytest.fixture
def buyer(paid_shop):
    """Somebody with a card."""
    visitor = signed_in(paid_shop)
    visitor.api.post("/v1/payment-methods", {"payment_method": "pm_card_visa"})
    paid_shop.settle()
    return visitor


def buy(shop, visitor, city="Buffalo", times=1):
    for _ in range(times):
        items = [{"offer_id": shop.offer(city)["offer_id"], "quantity": 1}]
        assert visitor.api.post("/v1/orders", {"items": items}).status_code == 201
        shop.settle()


def test_the_old_addresses_lead_to_their_sections(visitor):
    assert visitor.get("/cards").location == "/billing#cards"
    assert visitor.get("/orders").location == "/billing#orders"


def test_the_page_says_that_numbers_are_not_in_the_plan_and_what_there_is(visitor):
    page = visitor.get("/billing").text

    assert '<h1 tabindex="-1">Manage Your Account &amp; Billing</h1>' in page
    assert "Phone numbers are not included in your payment plan." in page
    assert "Everything you bought is paid." in page
    assert "Nothing was charged so far." in page


def test_too_little_says_what_is_missing_and_offers_no_payment(paid_shop, buyer):
    buy(paid_shop, buyer)

    page = buyer.get("/billing").text

    assert "you can pay from $0.50 on; $0.20 are missing." in page
    assert "Pay now" not in page
    assert buyer.get("/billing/payment?currency=USD").location == "/billing?problem=nothing_owed"
    assert "Nothing is owed." in buyer.get("/billing?problem=nothing_owed").text


def test_the_same_form_sent_twice_is_one_payment(paid_shop, buyer):
    buy(paid_shop, buyer, times=2)
    form = buyer.get("/billing/payment?currency=USD")
    fields = {name: hidden(form, name) for name in ("csrf_token", "form_key", "currency")}

    places = {buyer.client.post("/billing/payments", data=fields).location for _ in range(2)}
    paid_shop.settle()
    again = buyer.client.post("/billing/payments", data=fields | {"form_key": "another"}).location

    (place,) = places
    assert "$0.60 was charged to your card." in buyer.get(place).text
    assert again == "/billing?problem=nothing_owed"


def test_paying_without_a_card_asks_for_one_and_comes_back(paid_shop, buyer):
    buy(paid_shop, buyer, times=2)
    card = buyer.api.get("/v1/payment-methods").json["data"][0]["id"]
    assert buyer.send(f"/cards/{card}/removal", f"/cards/{card}/removal").location == (
        "/billing?removed=1"
    )
    paid_shop.settle()

    assert "There is no card yet." in buyer.get("/billing/payment?currency=USD").text
    answer = buyer.send("/billing/payments", "/cards/new", currency="USD", form_key="k")
    assert answer.location == "/cards/new?next=%2Fbilling%2Fpayment%3Fcurrency%3DUSD"


def test_orders_and_charges_are_paged_each_for_itself(paid_shop, buyer):
    buy(paid_shop, buyer, "New York", times=11)
    first = buyer.get("/billing").text

    following = re.search(r'href="(/billing\?charges=[^"#]+)#charges"', first)[1]
    second = buyer.get(following).text

    assert first.count('class="badge charge-succeeded"') == 10
    assert second.count('class="badge charge-succeeded"') == 1
    assert second.count('class="badge badge-fulfilled"') == 10
    assert 'href="/billing#charges"' in second
    assert re.search(r'href="/billing\?orders=[^"&]+&amp;charges=[^"#]+#orders"', second)
    assert first.count(">Receipt</a>") == 10


def test_a_payment_of_somebody_else_is_not_there(paid_shop, buyer):
    buy(paid_shop, buyer, times=2)
    paid = buyer.api.post("/v1/balance/payments", {"currency": "USD"}).json["id"]
    paid_shop.settle()
    stranger = signed_in(paid_shop)

    assert stranger.get(f"/billing/payments/{paid}").status_code == 404
    answer = stranger.send(f"/billing/payments/{paid}/confirmation", "/cards/new")
    assert answer.status_code == 404
    card = buyer.api.get("/v1/payment-methods").json["data"][0]["id"]
    assert stranger.get(f"/cards/{card}/removal").location == (
        "/billing?problem=payment_method_unknown"
    )


def test_an_order_that_is_owed_does_not_say_that_a_card_was_charged(paid_shop, buyer):
    buy(paid_shop, buyer)
    buy(paid_shop, buyer, "New York")
    dear, cheap = [one["id"] for one in buyer.api.get("/v1/orders").json["data"][:2]]

    assert "Card charged" in buyer.get(f"/orders/{dear}").text
    page = buyer.get(f"/orders/{cheap}").text
    assert "Put on your bill" in page
    assert "Card charged" not in page

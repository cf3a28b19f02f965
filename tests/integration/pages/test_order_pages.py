"""What an order's page says while it runs, and afterwards."""

import re
from html import unescape

import pytest

from deploy.payment_sandbox.process import start_sandbox
from tests.integration.gateway.sites import make_site
from tests.integration.pages.visitors import signed_in
from tests.support.product import ApiClient


@pytest.fixture(scope="module")
def paying_shop(tmp_path_factory):
    """An installation with stock and payments."""
    folder = tmp_path_factory.mktemp("orders")
    payments = start_sandbox(
        folder / "payments", secret_key="sk_test_gateway", publishable_key="pk_test_gateway"
    )
    made = make_site(folder / "data", payments).stocked()
    yield made, ApiClient(payments.base_url, "sk_test_gateway")
    made.stop()
    payments.stop()


def answer_with(payments, *rules):
    """Lets the payment provider fail by these rules; without any it works again."""
    assert payments.ask("PUT", "/_faults", {"rules": rules}).status == 200


def plain(answer):
    """A page without its markup, in one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def bought(shop, visitor, quantity=2):
    """The address of an order that was just placed."""
    token = "pm_card_visa"  # A test card of the sandbox.
    visitor.send("/cards", "/cards/new", payment_method=token, form_key="card")
    shop.settle()
    chosen = {f"quantity.{shop.offer()['offer_id']}": str(quantity)}
    checkout = visitor.send("/checkout", "/search?country=US", **chosen).location.split("?")[0]
    shop.settle()
    return visitor.send(f"{checkout}/buy", f"{checkout}/confirm").location


def test_the_confirmation_names_the_card_and_the_amount(paying_shop):
    shop, _ = paying_shop
    visitor = signed_in(shop)
    order = bought(shop, visitor)
    shop.settle()
    chosen = {f"quantity.{shop.offer()['offer_id']}": "1"}
    checkout = visitor.send("/checkout", "/search?country=US", **chosen).location.split("?")[0]
    shop.settle()

    page = plain(visitor.get(f"{checkout}/confirm"))

    assert order.startswith("/orders/ord_")
    assert "You buy 1 number for $1.26. Your Visa ending in 4242 will be charged now." in page
    assert "Kept for you for another 10 minutes." in page
    assert "Buy for $1.26" in page


def test_an_order_that_takes_longer_than_usual_says_why_and_that_nobody_need_wait(paying_shop):
    shop, payments = paying_shop
    visitor = signed_in(shop)
    order = bought(shop, visitor)
    answer_with(payments, {"fault": "500_before", "match": {"path": "/v1/payment_intents"}})
    shop.settle()

    soon = plain(visitor.get(order))
    shop.world.machine.forward(seconds=11)
    later = plain(visitor.get(order))
    answer_with(payments)
    shop.world.machine.forward(minutes=2)
    shop.settle()
    done = plain(visitor.get(order))

    assert "This takes a few seconds. You may leave the page" in soon
    assert "It takes longer than usual" not in soon
    assert "It takes longer than usual" in later
    assert "Nothing is charged twice" in later
    assert "Your 2 numbers are ready." in done
    assert "Each purchased phone number comes with 2 channels" in done
    assert "Receipt of the payment provider" in done
    assert "longer than usual" not in done

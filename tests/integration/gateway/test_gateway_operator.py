"""Orders that wait for a person, on the pages of the back office, with a payment provider."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from services.orders.messages import OrderChargeCheckRequested, OrderFailed, OrderGivenUp
from tests.integration.gateway.sites import Caller, Site
from tests.integration.pages.visitors import Visitor, staff_of

WHY = "The customer calls & asks."


@pytest.fixture
def staff(shop: Site) -> Visitor:
    """Somebody of the staff, signed in."""
    return staff_of(shop)


def stuck(shop: Site, card: str = "pm_card_visa") -> tuple[Caller, str]:
    """An order whose charge nobody carries out, so that after 15 minutes a person is called."""
    customer = shop.customer(card)
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 2}]
    placed = customer.post("/v1/orders", {"items": items})
    shop.world.engine.settle()  # Without the workers that call the provider.
    shop.world.machine.forward(minutes=15)
    shop.world.engine.settle()
    return customer, placed.json["id"]


def status(customer: Caller, order_id: str) -> str:
    return str(customer.get(f"/v1/orders/{order_id}").json["status"])


def act(staff: Visitor, order_id: str, action: str, **more: str) -> Any:
    path = f"/office/orders/{order_id}"
    fields = {"reason": WHY, "form_key": uuid.uuid4().hex} | more
    return staff.send(f"{path}/{action}", path, **fields)


def test_it_is_listed_with_what_it_waits_for_and_how_long(shop: Site, staff: Visitor) -> None:
    customer, order_id = stuck(shop)
    shop.world.machine.forward(minutes=119)
    staff.sign_in()

    page = staff.get("/office/orders").text

    assert status(customer, order_id) == "needs_operator"
    assert order_id in page
    assert f"/office/accounts/{customer.account_id}" in page
    assert "1 hour<" in page
    assert "The payment provider has not answered." in page
    assert "$2.52" in page


def test_the_charge_is_looked_up_and_its_answer_settles_the_order(
    shop: Site, staff: Visitor
) -> None:
    customer, order_id = stuck(shop)

    answer = act(staff, order_id, "check")
    shop.settle()
    page = staff.get(answer.location).text

    (asked,) = shop.world.happened(OrderChargeCheckRequested)
    assert (str(asked.message.reason), asked.meta.actor) == (WHY, _id_of(staff))
    assert answer.location == f"/office/orders/{order_id}?done=check"
    assert status(customer, order_id) == "fulfilled"
    assert "The customer calls &amp; asks." in page
    assert staff.email in page
    assert "Paid" in page
    assert "pi_" in page  # The provider's number, for asking there.
    assert "No order needs you" in staff.get("/office/orders").text


def test_an_order_that_is_ended_takes_no_money_and_gives_its_numbers_back(
    shop: Site, staff: Visitor
) -> None:
    before = shop.offer()["available"]
    customer, order_id = stuck(shop)

    act(staff, order_id, "end")
    shop.settle()
    found = customer.get(f"/v1/orders/{order_id}").json

    assert (found["status"], found["failure"]["code"]) == ("failed", "ended_by_staff")
    assert shop.offer()["available"] == before - 1  # One is the account's free number.
    assert [type(e) for e in shop.world.messages(OrderGivenUp, OrderFailed)] == [
        OrderGivenUp,
        OrderFailed,
    ]
    assert [c["status"] for c in customer.get("/v1/charges").json["data"]] == ["failed"]
    page = staff.get(f"/office/orders/{order_id}?done=end").text
    assert "The order is ended." in page
    assert "ended_by_staff" in page
    assert "/end" not in page  # Nothing is left to be done.


def test_a_fulfilled_order_is_refunded_with_a_reason(shop: Site, staff: Visitor) -> None:
    customer, order_id = stuck(shop)
    shop.settle()

    answer = act(staff, order_id, "refund", amount="1.00", currency="USD")
    shop.settle()

    found = customer.get(f"/v1/orders/{order_id}").json
    assert answer.location.endswith("?done=refund")
    assert found["refunded_total"] == {"amount": "1.00", "currency": "USD"}
    assert "The customer calls &amp; asks." in staff.get(answer.location).text


@pytest.mark.parametrize(
    ("action", "fields", "code"),
    [
        ("check", {"reason": "  "}, "missing_field"),
        ("end", {"reason": ""}, "missing_field"),
        ("refund", {"reason": ""}, "missing_field"),
        ("refund", {"amount": "99", "currency": "USD"}, "order_not_refundable"),
        ("refund", {"amount": "much", "currency": "USD"}, "invalid_value"),
    ],
)
def test_what_cannot_be_done_is_said(
    shop: Site, staff: Visitor, action: str, fields: dict[str, str], code: str
) -> None:
    _customer, order_id = stuck(shop)
    head = shop.world.log.head()

    answer = act(staff, order_id, action, **fields)

    assert answer.location == f"/office/orders/{order_id}?problem={code}"
    assert f"<code>{code}</code>" in staff.get(answer.location).text
    assert shop.world.log.head() == head


def test_a_settled_order_offers_and_takes_no_more_of_it(shop: Site, staff: Visitor) -> None:
    _customer, order_id = stuck(shop)
    shop.settle()

    answer = act(staff, order_id, "end")

    assert answer.location.endswith("?problem=order_not_with_operator")


def test_a_double_click_looks_once(shop: Site, staff: Visitor) -> None:
    _customer, order_id = stuck(shop)

    for _ in range(2):
        act(staff, order_id, "check", form_key="one")
        shop.settle()

    assert len(shop.world.messages(OrderChargeCheckRequested)) == 1


def test_another_person_s_order_is_an_unknown_one(staff: Visitor) -> None:
    assert staff.get("/office/orders/ord_none").status_code == 404


def _id_of(staff: Visitor) -> str:
    users = staff.api.get("/v1/users").json["data"]
    return str(next(u["id"] for u in users if u["email"] == staff.email))

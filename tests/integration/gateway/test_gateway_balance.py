"""What is too little for the payment provider stays owed, and is paid together later."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.integration.gateway.sites import STOCK, Caller, Site, code

HEAD = STOCK.splitlines()[0]


@pytest.fixture
def cheap(shop: Site) -> dict[str, Any]:
    """Numbers that cost $0.20."""
    row = "US,NY,Buffalo,716,geographic,+17165550100,90,true,0.00,0.20,1,0.0085,0.00,USD,60/1"
    headers = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": "text/csv"}
    taken = shop.staff().ask("POST", "/v1/stock/imports", data=f"{HEAD}\n{row}\n", headers=headers)
    assert taken.status_code == 202, taken.text
    shop.settle()
    return shop.offer("Buffalo")


def buy(shop: Site, customer: Caller, offer: dict[str, Any], quantity: int = 1) -> dict[str, Any]:
    """An order that has ended."""
    items = [{"offer_id": offer["offer_id"], "quantity": quantity}]
    placed = customer.post("/v1/orders", {"items": items})
    assert placed.status_code == 201, placed.text
    shop.settle()
    found: dict[str, Any] = customer.get(f"/v1/orders/{placed.json['id']}").json
    return found


def test_an_order_below_the_provider_s_minimum_is_fulfilled(
    shop: Site, cheap: dict[str, Any]
) -> None:
    customer = shop.customer("pm_card_visa")

    order = buy(shop, customer, cheap)

    assert order["status"] == "fulfilled", order["failure"]
    charge = customer.get(f"/v1/charges/{order['charge_id']}").json
    assert (charge["status"], charge["kind"]) == ("owed", "order")


def test_what_is_owed_is_paid_over_http(shop: Site, cheap: dict[str, Any]) -> None:
    customer = shop.customer("pm_card_visa")
    buy(shop, customer, cheap, 2)
    paying = {"currency": "USD"}
    assert code(customer.post("/v1/balance/payments", paying)) == "below_minimum"
    buy(shop, customer, cheap)
    (owed,) = customer.get("/v1/balance").json["currencies"]
    assert owed["owed"] == {"amount": "0.60", "currency": "USD"}
    assert owed["payable"] is True
    assert len(owed["charges"]) == 2

    payment = customer.post("/v1/balance/payments", paying, key="one")
    assert payment.status_code == 201, payment.text
    shop.settle()

    again = customer.post("/v1/balance/payments", paying, key="one")
    assert again.headers["Idempotent-Replayed"] == "true"
    found = customer.get(f"/v1/balance/payments/{payment.json['id']}").json
    assert (found["status"], found["amount"]["amount"]) == ("succeeded", "0.60")
    assert customer.get("/v1/balance").json == {"currencies": []}


def test_a_payment_of_what_is_owed_has_the_bank_s_step(shop: Site, cheap: dict[str, Any]) -> None:
    customer = shop.customer("pm_card_authenticationRequired")
    order = buy(shop, customer, cheap, 2)
    buy(shop, customer, cheap)
    payment = customer.post("/v1/balance/payments", {"currency": "USD"}).json
    path = f"/v1/balance/payments/{payment['id']}"
    shop.settle()

    found = customer.get(path).json
    assert found["status"] == "action_required"
    assert found["payment_action"]["client_secret"]
    refused = customer.post("/v1/balance/payments", {"currency": "USD"})
    assert code(refused) == "balance_being_paid"
    assert customer.post(f"{path}/confirmation").status_code == 200
    of_order = f"/v1/balance/payments/{order['charge_id']}"
    assert code(customer.get(of_order)) == "charge_unknown"
    assert code(customer.post(f"{of_order}/confirmation")) == "charge_unknown"


def test_paying_is_asked_for_properly(shop: Site) -> None:
    customer = shop.customer("pm_card_visa")
    path = "/v1/balance/payments"
    assert code(customer.ask("POST", path, json={"currency": "USD"})) == "idempotency_key_missing"
    assert code(customer.post(path, {})) == "missing_field"
    assert code(customer.post(path, {"currency": "usd"})) == "invalid_value"
    assert code(customer.post(path, {"currency": "USD"})) == "nothing_owed"
    viewer = shop.caller(customer.account_id, "viewer")
    assert code(viewer.post(path, {"currency": "USD"})) == "role_required"
    assert viewer.get("/v1/balance").status_code == 200

"""The OpenAPI document against the running product, and against what was promised.

Two ways: every operation is called once with values that must succeed (at least 80 % have to reach
a 2xx), and schemathesis sends made-up requests. Every answer has to be one that the document names,
with the content it names, and never an error of ours.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.payment_servers import wait_until
from tests.support.product import ApiClient, Product

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PROMISED = """
POST /v1/accounts
POST /v1/invitations/{token}
POST /v1/password-resets
POST /v1/password-resets/{token}
GET /v1/users
POST /v1/users
DELETE /v1/users/{user_id}
GET /v1/api-keys
POST /v1/api-keys
DELETE /v1/api-keys/{key_id}
GET /v1/outbox
GET /v1/test-clock
POST /v1/test-clock/advance
GET /v1/countries
GET /v1/available-numbers
GET /v1/available-numbers/{offer_id}/numbers
POST /v1/stock/imports
GET /v1/jobs/{job_id}
POST /v1/quotes
POST /v1/quotes/{quote_id}/extend
DELETE /v1/quotes/{quote_id}
POST /v1/orders
GET /v1/orders
GET /v1/orders/{order_id}
POST /v1/orders/{order_id}/payment-confirmation
POST /v1/orders/{order_id}/refunds
GET /v1/payment-methods
POST /v1/payment-methods
POST /v1/payment-methods/setup-intents
PUT /v1/payment-methods/{payment_method_id}/default
DELETE /v1/payment-methods/{payment_method_id}
GET /v1/numbers
GET /v1/numbers.csv
GET /v1/numbers/{number}
PATCH /v1/numbers/{number}
GET /v1/charges
GET /v1/balance
POST /v1/balance/payments
GET /v1/balance/payments/{charge_id}
POST /v1/balance/payments/{charge_id}/confirmation
POST /v1/webhooks/stripe
GET /livez
GET /readyz
GET /metrics
""".splitlines()
PASSWORD = "four horses on a tin roof"
STOCK = (
    "country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,"
    "min_period_months,per_minute,connect_fee,currency,billing_increments\n"
    "US,NY,Albany,518,geographic,+15185557700,3,false,1.00,2.00,1,0.0085,0.0000,USD,60/1\n"
    "US,NY,Olean,585,geographic,+15853720100,9,false,0.00,0.30,1,0.0085,0.0000,USD,60/1\n"
)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with its demo stock."""
    running = Product(tmp_path_factory.mktemp("openapi") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def document(product: Product) -> Any:
    """The OpenAPI document, as schemathesis reads it."""
    raw = product.customer().get("/openapi.json").body
    return schemathesis.openapi.from_dict(raw)


def test_the_document_offers_what_was_promised(product: Product) -> None:
    paths = product.customer().get("/openapi.json").body["paths"]
    offered = {f"{m.upper()} {path}" for path, methods in paths.items() for m in methods}
    assert [line for line in PROMISED if line and line not in offered] == []


class Things:
    """What an account needs to have so that a request about it succeeds."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.staff = product.staff()
        self.owner = product.open_account()

    def offer(self) -> str:
        found = self.owner.get("/v1/available-numbers?country=US&limit=50").body["data"]
        return str(max(found, key=lambda row: row["available"])["offer_id"])

    def quote(self) -> str:
        return str(self._made("/v1/quotes", {"items": [{"offer_id": self.offer()}]})["id"])

    def order(self) -> dict[str, Any]:
        items = [{"offer_id": self.offer()}]
        found: dict[str, Any] = self._made("/v1/orders?wait=20", {"items": items})
        assert found["status"] == "fulfilled", found
        return found

    def waiting_order(self) -> dict[str, Any]:
        """An order that waits for the bank's step, and the account that placed it."""
        customer = self.product.open_account("pm_card_authenticationRequired")
        body = {"items": [{"offer_id": self.offer()}]}
        found = customer.post("/v1/orders?wait=20", body).body
        assert found["status"] == "action_required", found
        return {"path": {"order_id": found["id"]}, "body": {}, "as": customer}

    def owing(self, card: str = "pm_card_visa") -> ApiClient:
        """An account with two orders that were too small to be charged."""
        customer = self.product.open_account(card)
        city = "/v1/available-numbers?country=US&city=Olean"
        wait_until(lambda: customer.get(city).body["data"])
        items = [{"offer_id": customer.get(city).body["data"][0]["offer_id"]}]
        for _ in range(2):
            found = customer.post("/v1/orders?wait=20", {"items": items}).body
            assert found["status"] == "fulfilled", found
        return customer

    def waiting_payment(self) -> dict[str, Any]:
        """A payment of what is owed that waits for the bank's step, and its account."""
        customer = self.owing("pm_card_authenticationRequired")
        paid = customer.post("/v1/balance/payments", {"currency": "USD"}).body["id"]
        path = f"/v1/balance/payments/{paid}"
        wait_until(lambda: customer.get(path).body["status"] == "action_required")
        return {"path": {"charge_id": paid}, "as": customer}

    def card(self) -> str:
        return str(self._made("/v1/payment-methods", {"payment_method": "pm_card_visa"})["id"])

    def user(self) -> str:
        return str(self._made("/v1/users", {"email": f"{uuid.uuid4().hex}@example.com"})["id"])

    def key(self) -> str:
        return str(self._made("/v1/api-keys", {})["id"])

    def invitation(self) -> str:
        self.user()
        return str(self.staff.get("/v1/outbox?limit=1").body["data"][0]["token"])

    def reset(self) -> str:
        self.owner.post(f"/v1/invitations/{self.invitation()}", {"password": PASSWORD})
        mail = self.staff.get("/v1/outbox?limit=1").body["data"][0]
        email = mail["to"]
        self.owner.ask("POST", "/v1/password-resets", {"email": email})
        return str(self.staff.get("/v1/outbox?limit=1").body["data"][0]["token"])

    def job(self) -> str:
        headers = {"Content-Type": "text/csv"}
        sent = self.staff.ask("POST", "/v1/stock/imports", STOCK, key="job", headers=headers)
        return str(sent.body["id"])

    def soon(self) -> str:
        now = datetime.fromisoformat(self.staff.get("/v1/test-clock").body["now"])
        return (now + timedelta(minutes=1)).isoformat()

    def _made(self, path: str, body: Any) -> Any:
        answer = self.owner.post(path, body)
        assert answer.status in {200, 201}, answer
        return answer.body


def _succeeding(things: Things) -> dict[str, dict[str, Any]]:
    """Values with which an operation must succeed, by its id. Made when they are asked for."""
    t = things
    bought = t.order()
    item = {"items": [{"offer_id": t.offer()}]}
    job, waiting = t.job(), t.waiting_payment()
    account = {"name": "Example", "email": f"{uuid.uuid4().hex}@example.com", "country": "US"}
    demo = t.product.demo
    return {
        "search_available_numbers": {"query": {"country": "US"}},
        "list_offer_numbers": {"path": {"offer_id": t.offer()}},
        "make_quote": {"body": item},
        "get_quote": {"path": {"quote_id": t.quote()}},
        "extend_quote": {"path": {"quote_id": t.quote()}, "body": {}},
        "release_quote": {"path": {"quote_id": t.quote()}},
        "place_order": {"body": item, "query": {"wait": 5}},
        "confirm_payment": t.waiting_order(),
        "get_order": {"path": {"order_id": bought["id"]}},
        "refund_order": {"path": {"order_id": bought["id"]}, "body": {}, "staff": True},
        "add_payment_method": {"body": {"payment_method": "pm_card_mastercard"}},
        "create_setup_intent": {"body": {}},
        "set_default_payment_method": {"path": {"payment_method_id": t.card()}, "body": {}},
        "remove_payment_method": {"path": {"payment_method_id": t.card()}},
        "get_charge": {"path": {"charge_id": bought["charge_id"]}},
        "pay_balance": {"body": {"currency": "USD"}, "as": t.owing()},
        "get_balance_payment": waiting,
        "confirm_balance_payment": waiting | {"body": {}},
        "get_number": {"path": {"number": bought["numbers"][0]["number"]}},
        "change_number": {
            "path": {"number": bought["numbers"][0]["num_id"]},
            "body": {"description": "Front desk", "labels": ["a"]},
        },
        "import_stock": {"body": STOCK, "media_type": "text/csv"},
        "get_job": {"path": {"job_id": job}, "staff": True},
        "get_test_clock": {"staff": True},
        "advance_test_clock": {"body": {"to": t.soon()}, "staff": True},
        "open_account": {"body": account},
        "get_account": {"path": {"account_id": bought["account_id"]}},
        "invite_user": {"body": {"email": f"{uuid.uuid4().hex}@example.com"}},
        "get_user": {"path": {"user_id": t.user()}},
        "remove_user": {"path": {"user_id": t.user()}},
        "make_api_key": {"body": {"role": "viewer"}},
        "get_api_key": {"path": {"key_id": t.key()}},
        "rotate_api_key": {"path": {"key_id": t.key()}, "body": {}},
        "revoke_api_key": {"path": {"key_id": t.key()}},
        "accept_invitation": {"path": {"token": t.invitation()}, "body": {"password": PASSWORD}},
        "ask_password_reset": {"body": {"email": "nobody@example.com"}},
        "reset_password": {"path": {"token": t.reset()}, "body": {"password": PASSWORD + "!"}},
        "sign_in": {
            "body": {"email": demo["email"], "password": demo["password"]},
            "media_type": "application/json",
        },
    }


STAFF = re.compile(r"staff|import_stock|list_stock|open_account|list_accounts|list_outbox")


def _caller(things: Things, name: str, given_: dict[str, Any]) -> ApiClient:
    if "as" in given_:
        caller: ApiClient = given_["as"]
        return caller
    return things.staff if given_.get("staff") or STAFF.search(name) else things.owner


def _call(things: Things, operation: Any, given_: dict[str, Any]) -> Any:
    name = operation.definition.raw["operationId"]
    more = {n: given_[n] for n in ("body", "query", "media_type") if n in given_}
    if "body" in more:
        more.setdefault("media_type", "application/json")
    case = operation.Case(path_parameters=given_.get("path", {}), **more)
    headers = {"Authorization": f"Bearer {_caller(things, name, given_).key}"}
    if operation.method.upper() == "POST":
        headers["Idempotency-Key"] = uuid.uuid4().hex
    answer = case.call(base_url=things.product.demo["base_url"], headers=headers)
    case.validate_response(answer, checks=CHECKS)
    return answer


def test_most_operations_succeed_when_they_are_given_what_they_need(
    product: Product, document: Any
) -> None:
    things = Things(product)
    values = _succeeding(things)
    status: dict[str, int] = {}
    operations = [found.ok() for found in document.get_all_operations()]
    for operation in operations:
        name = operation.definition.raw["operationId"]
        status[name] = _call(things, operation, values.get(name, {})).status_code
    failed = {name: found for name, found in status.items() if not 200 <= found < 300}
    reached = 1 - len(failed) / len(status)
    print(f"2xx on {reached:.0%} of {len(status)} operations; not on {failed}")
    assert reached >= 0.8
    assert len(status) >= 45


@pytest.mark.slow
def test_made_up_requests_are_answered_as_documented(product: Product, document: Any) -> None:
    things = Things(product)
    for found in document.get_all_operations():
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            # An operation without parameters cannot be asked wrongly.
            with contextlib.suppress(Unsatisfiable):
                _fuzz(operation, mode, _caller(things, name, {}))


def _fuzz(operation: Any, mode: GenerationMode, caller: ApiClient) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=6,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answered(case: Any) -> None:
        case.query.pop("wait", None)
        headers = {"Authorization": f"Bearer {caller.key}"}
        answer = case.call(base_url=caller.base_url, headers=headers)
        case.validate_response(answer, checks=CHECKS)

    answered()


def test_the_example_of_the_docs_page_is_the_document(product: Product) -> None:
    page = product.customer().get("/docs")
    assert page.status == 200
    assert "/docs/start.js" in page.body
    assert Path(page.headers["Content-Type"]).name.startswith("html")

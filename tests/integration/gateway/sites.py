"""The gateway in front of the real services, stepped by hand: no threads, no sleep."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deploy.ground import all_specs
from deploy.payment_sandbox.process import SandboxProcess
from services import gateway
from services.gateway import keys
from services.gateway.app import create_app
from services.gateway.surroundings import STAFF_ACCOUNT
from tests.support.worlds import World

STOCK = """\
country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,min_period_months,\
per_minute,connect_fee,currency,billing_increments
US,NY,New York,212,geographic,+12125550100,50,true,0.00,1.26,1,0.0085,0.0000,USD,60/1
US,NY,Albany,518,geographic,+15185550100,3,false,1.00,2.00,1,0.0085,0.0000,USD,60/1
NL,NH,Amsterdam,20,geographic,+31207990000,20,false,2.00,3.50,1,0.0085,0.0000,EUR,1/1
"""


@dataclass
class Caller:
    """Somebody with an API key."""

    client: FlaskClient
    key: str
    account_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        """One request with the key."""
        headers = {"Authorization": f"Bearer {self.key}", **self.headers, **more.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        """Reads."""
        return self.ask("GET", path, **more)

    def post(
        self, path: str, body: Any = None, key: str | None = None, **more: Any
    ) -> TestResponse:
        """Commands, under a key of its own unless one is named."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex, **more.pop("headers", {})}
        return self.ask("POST", path, json=body, headers=headers, **more)


@dataclass
class Site:
    """One installation and its HTTP surface."""

    world: World
    app: Flask
    runs: bool = False

    @property
    def visitor(self) -> FlaskClient:
        """A browser without cookies."""
        return self.app.test_client()

    def staff(self) -> Caller:
        """The back office."""
        return self.caller(STAFF_ACCOUNT, "staff")

    def caller(self, account_id: str, role: str = "owner") -> Caller:
        """A key of an account."""
        name = f"key_{uuid.uuid4().hex[:8]}"
        key = keys.make(
            self.world.state, name, account_id=account_id, role=role, name="test", now=0
        )
        return Caller(self.app.test_client(), key, account_id)

    def customer(self, card: str | None = None) -> Caller:
        """A new account, with a card if one is named."""
        name = uuid.uuid4().hex[:10]
        wanted = {"name": f"Company {name}", "email": f"{name}@example.com", "country": "US"}
        account = self.staff().post("/v1/accounts", wanted)
        assert account.status_code == 201, account.text
        self.settle()
        found = Caller(self.app.test_client(), account.json["api_key"], account.json["id"])
        if card is not None:
            added = found.post("/v1/payment-methods", {"payment_method": card})
            assert added.status_code == 201, added.text
            self.settle()
        return found

    def stocked(self) -> Site:
        """With numbers to sell."""
        headers = {"Idempotency-Key": "stock", "Content-Type": "text/csv"}
        taken = self.staff().ask("POST", "/v1/stock/imports", data=STOCK, headers=headers)
        assert taken.status_code == 202, taken.text
        self.world.settle()
        return self

    def settle(self) -> None:
        """Steps everything until nothing has work; where threads do that, they are left to it."""
        if not self.runs:
            self.world.settle()

    def start(self) -> Site:
        """From now on threads step the consumers, as in the product."""
        self.runs = True
        self.world.assembly.start()
        return self

    def stop(self) -> None:
        """Ends the threads, if there are any, and lets go of the files."""
        if self.runs:
            self.world.assembly.stop()
        else:
            self.world.close()

    def offer(self, city: str = "New York") -> dict[str, Any]:
        """An offer of that city."""
        country = "NL" if city == "Amsterdam" else "US"
        path = f"/v1/available-numbers?country={country}&city={city}"
        found = self.staff().get(path)
        assert found.status_code == 200, found.text
        offer: dict[str, Any] = found.json["data"][0]
        return offer

    def mails(self) -> list[dict[str, Any]]:
        """What lies in the outbox, newest first."""
        found: list[dict[str, Any]] = self.staff().get("/v1/outbox").json["data"]
        return found


def make_site(folder: Path, payments: SandboxProcess | None = None, **environ: str) -> Site:
    """An installation in a folder; with payments, the one that ``payments`` runs."""
    if payments is not None:
        environ |= {
            "stripe_secret_key": "sk_test_gateway",
            "stripe_publishable_key": "pk_test_gateway",
            "stripe_webhook_secret": "whsec_gateway",
            "stripe_api_base": payments.base_url,
        }
    specs = (*all_specs(), gateway.spec())
    world = World(folder, specs, **environ)
    app = create_app(world.runtime, world.client, world.assembly.status)
    world.settle()
    return Site(world, app)


def problem(answer: TestResponse) -> dict[str, Any]:
    """The problem document of an answer, checked for its form."""
    assert answer.content_type == "application/problem+json", answer.text
    found: dict[str, Any] = json.loads(answer.data)
    assert found["status"] == answer.status_code
    assert found["request_id"] == answer.headers["Request-Id"]
    return found


def code(answer: TestResponse) -> str:
    """The stable code of a problem."""
    return str(problem(answer)["code"])

"""People who use the pages without a browser: forms are sent as a browser sends them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from html import unescape
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.integration.gateway.sites import Caller, Site

PASSWORD = "a sentence that nobody guesses"


@dataclass
class Visitor:
    """Somebody with a browser that keeps cookies. ``api`` is the same account seen by a program."""

    client: FlaskClient
    email: str
    api: Caller

    def get(self, path: str, **more: Any) -> TestResponse:
        """Looks at a page."""
        return self.client.get(path, **more)

    def send(self, path: str, page: str, **fields: Any) -> TestResponse:
        """Sends a form of a page, with the token that the page holds."""
        token = hidden(self.get(page), "csrf_token")
        return self.client.post(path, data={"csrf_token": token} | fields)

    def sign_in(self, target: str = "/numbers") -> TestResponse:
        """Sends the form of the login page."""
        form = {"email": self.email, "password": PASSWORD, "next": target}
        return self.client.post("/login", data=form)


def signed_in(shop: Site, name: str = "Company") -> Visitor:
    """An owner of a new account of that name, signed in."""
    wanted = {"name": name, "email": f"{uuid.uuid4().hex}@example.com", "country": "US"}
    account = shop.staff().post("/v1/accounts", wanted)
    assert account.status_code == 201, account.text
    shop.settle()
    visitor = Visitor(shop.visitor, wanted["email"], shop.caller(account.json["id"]))
    token = shop.mails()[0]["token"]
    form = {"password": PASSWORD, "repeat": PASSWORD}
    assert visitor.client.post(f"/invitations/{token}", data=form).status_code == 303
    assert visitor.sign_in().status_code == 303
    return visitor


def staff_of(shop: Site) -> Visitor:
    """A new member of the staff, signed in."""
    return _invited(shop, shop.staff(), "staff")


def viewer_of(shop: Site) -> Visitor:
    """Somebody of a new account who may only look, signed in."""
    return _invited(shop, signed_in(shop).api, "viewer")


def _invited(shop: Site, by: Caller, role: str) -> Visitor:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    made = by.post("/v1/users", {"email": email, "role": role})
    assert made.status_code == 201, made.text
    visitor = Visitor(shop.visitor, email, shop.caller(by.account_id, role))
    form = {"password": PASSWORD, "repeat": PASSWORD}
    token = shop.mails()[0]["token"]
    assert visitor.client.post(f"/invitations/{token}", data=form).status_code == 303
    assert visitor.sign_in().status_code == 303
    return visitor


def hidden(answer: TestResponse, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found is not None, answer.text
    return unescape(found[1])

"""Somebody who looks at the pages: signs in by the form, keeps the cookie and the connection."""

from __future__ import annotations

import gzip
import re
import time
import uuid
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench.product import Product
from bench.report import check

PASSWORD = "a sentence that nobody guesses"  # Of an account of the bench.
_ASSET = re.compile(r'(?:href|src)="(/assets/[^"]+)"')


class Visitor:
    """A browser without eyes."""

    def __init__(self, base_url: str) -> None:
        place = urlsplit(base_url)
        self._connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
        self._cookie = ""

    def get(self, path: str, expected: int = 200) -> str:
        """The text of a page."""
        return self._ask("GET", path, None, expected)[0]

    def timed(self, path: str) -> tuple[float, str]:
        """Milliseconds until a page was there, and the page."""
        began = time.perf_counter()
        text = self.get(path)
        return (time.perf_counter() - began) * 1000, text

    def sign_in(self, email: str) -> Visitor:
        """Through the form, as anybody does."""
        self.get("/login")
        form = urlencode({"email": email, "password": PASSWORD, "next": "/numbers"})
        _, headers = self._ask("POST", "/login", form, 303)
        self._cookie = headers["Set-Cookie"].split(";", 1)[0]
        return self

    def weight(self, path: str) -> tuple[int, int]:
        """Bytes of a first visit, page and all its files: as they are, and compressed."""
        page = self.get(path)
        files = [page.encode(), *(self._bytes(one) for one in dict.fromkeys(_ASSET.findall(page)))]
        return sum(map(len, files)), sum(len(gzip.compress(one)) for one in files)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _bytes(self, path: str) -> bytes:
        return self.get(path).encode()

    def _ask(self, method: str, path: str, body: str | None, expected: int) -> tuple[str, Any]:
        headers = {"Cookie": self._cookie, "Accept": "text/html"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        check(answer.status == expected, f"{method} {path}: {answer.status}, not {expected}")
        return text, answer.headers


def new_person(product: Product) -> tuple[str, str]:
    """Opens an account and accepts its invitation: the account's id, and the e-mail to sign in."""
    staff = product.staff()
    name = uuid.uuid4().hex[:12]
    wanted = {"name": f"Company {name}", "email": f"{name}@example.com", "country": "US"}
    status, account = staff.ask("POST", "/v1/accounts", wanted)
    check(status == 201, f"no account: {account}")
    _, outbox = staff.ask("GET", "/v1/outbox")
    token = next(mail["token"] for mail in outbox["data"] if mail["to"] == wanted["email"])
    status, chosen = staff.ask("POST", f"/v1/invitations/{token}", {"password": PASSWORD})
    check(status == 201, f"no password: {chosen}")
    staff.close()
    return account["id"], wanted["email"]

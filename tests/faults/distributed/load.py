"""Customers under load: every command carries a key, is repeated with it until it is acknowledged,
and is in the ledger before the next one is sent."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from tests.faults.distributed.ledger import Ledger, Line, digest
from tests.faults.distributed.supervised import until
from tests.faults.distributed.system import System
from tests.support.product import Answer, ApiClient

_PATIENCE_SECONDS = 120.0
_REQUEST_SECONDS = 15.0
_AGAIN_SECONDS = (0.1, 0.2, 0.5, 1.0)
_UNANSWERED_SECONDS = 10.0  # So soon everything is of use again (Run.useful measures that).
_GONE = {"number_gone", "offer_changed", "offer_unknown"}
_ASK_AGAIN = {"idempotency_key_in_use", "edited_meanwhile"}


class GaveUpError(AssertionError):
    """A command was neither acknowledged nor refused in all the time it had."""


@dataclass
class Notes:
    """What clients saw on the way, apart from acknowledgements."""

    repeats: int = 0
    odd: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    gave_up: list[str] = field(default_factory=list)


@dataclass
class Offer:
    """What can be bought: an id and how many there were before."""

    id: str
    available: int


class Customer:
    """One account, one thread."""

    def __init__(
        self, client: ApiClient, account: str, ledger: Ledger, offers: list[Offer], seed: int
    ) -> None:
        self.client = client
        self.account = account
        self.notes = Notes()
        self.same_key = True
        self.patience = _PATIENCE_SECONDS
        self._ledger = ledger
        self._offers = offers
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._bought: list[str] = []
        self._described = 0
        self._thread = threading.Thread(target=self._run, name=f"customer-{seed}", daemon=True)

    def start(self) -> None:
        """Begins to buy."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the command that is under way."""
        self._stopping.set()

    def ended(self, seconds: float) -> bool:
        """Whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.visit()
            except GaveUpError as error:
                self.notes.gave_up.append(str(error))

    def visit(self) -> None:
        """One visit: numbers are looked at, and held; some are bought, some of those described."""
        quote = self.quote()
        if quote is None:
            return
        for _ in range(self._chance.choice((0, 1, 1, 2))):
            self.command("extend", "POST", f"/v1/quotes/{quote['id']}/extend", {})
        if self._chance.random() < 0.6:  # Most customers only look.
            self.command("release", "DELETE", f"/v1/quotes/{quote['id']}")
            return
        self.order(quote)
        if self._bought and self._chance.random() < 0.5:  # Every second one.
            self._describe(self._chance.choice(self._bought))

    def quote(self) -> dict[str, Any] | None:
        """Holds a number."""
        offer = self._chance.choice(self._offers)
        wanted = {"items": [{"offer_id": offer.id, "quantity": 1}]}
        return self.command("quote", "POST", "/v1/quotes", wanted)

    def order(self, quote: dict[str, Any]) -> dict[str, Any] | None:
        """Buys what a quote holds."""
        found = self.command("order", "POST", "/v1/orders", {"quote_id": quote["id"]})
        self._bought += quote["numbers"] if found else []
        return found

    def _describe(self, number: str) -> None:
        # A PATCH has no key; what makes its repetition harmless is If-Match.
        end = time.monotonic() + self.patience
        self._described += 1
        text = f"text {self._described}"
        while time.monotonic() < end:
            seen = self._asked("GET", f"/v1/numbers/{number}")
            if seen is None or seen.status != 200:  # HTTP.
                self._pause(1)  # Bought a moment ago, it is not in the list yet.
                continue
            if seen.body["description"] == text:
                self._write("describe", "", {"number": number, "text": text}, 200, {})
                return
            headers = {"If-Match": _header(seen, "etag")}
            self._asked("PATCH", f"/v1/numbers/{number}", {"description": text}, headers=headers)
        raise GaveUpError(f"describe {number}")

    def command(self, kind: str, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """One command, repeated until it is acknowledged (its answer) or refused (``None``)."""
        key, end, tries = uuid.uuid4().hex, time.monotonic() + self.patience, 0
        while time.monotonic() < end:
            answer = self._asked(method, path, body, key=key)
            if answer is not None and answer.status < 300:  # HTTP.
                self._write(kind, key, body, answer.status, answer.body)
                return dict(answer.body)
            if answer is not None and answer.code in _GONE:
                self._write(kind, key, body, answer.status, {"code": answer.code})
                return None
            self.notes.repeats += 1
            self.notes.told[answer.code if answer else "no answer"] += 1
            if not self.same_key:
                key = uuid.uuid4().hex
            self._pause(tries)
            tries += 1
        raise GaveUpError(f"{kind} {path} with the key {key}")

    def _pause(self, tries: int) -> None:
        threading.Event().wait(_AGAIN_SECONDS[min(tries, len(_AGAIN_SECONDS) - 1)])

    def _asked(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer | None:
        try:
            answer = self.client.ask(
                method, path, body, key=key, headers=headers, timeout=_REQUEST_SECONDS
            )
        except (OSError, HTTPException):
            return None
        self._note(method, path, answer)
        return answer

    def _note(self, method: str, path: str, answer: Answer) -> None:
        fine = answer.status < 300 or answer.code in _GONE | _ASK_AGAIN  # HTTP.
        waiting = answer.status == 503 and _header(answer, "retry-after")  # HTTP.
        late = answer.code == "number_unknown" and method == "GET"
        if not (fine or waiting or late):
            self.notes.odd[f"{method} {path.split('/')[2]}: {answer.status} {answer.code}"] += 1

    def _write(self, kind: str, key: str, body: Any, status: int, answer: dict[str, Any]) -> None:
        kept = {k: answer[k] for k in ("id", "quote_id", "numbers", "code") if k in answer}
        if kind == "quote" and "lines" in answer:
            line = answer["lines"][0]
            kept |= {"offer_id": line["offer_id"], "due": answer["due_now"]["amount"]}
        if kind == "describe":
            kept = body
        self._ledger.write(Line(self.account, kind, key, digest(body), status, kept))


def read(client: ApiClient, path: str) -> Answer:
    """Reads, and asks again where it is told to: a link that was cut may be found so by anybody."""
    end = time.monotonic() + _UNANSWERED_SECONDS
    while (answer := client.get(path)).status == 503 and time.monotonic() < end:  # HTTP.
        time.sleep(_AGAIN_SECONDS[-1])
    return answer


def _header(answer: Answer, name: str) -> str:
    return next((v for k, v in answer.headers.items() if k.lower() == name), "")


class Load:
    """Some customers at once, on accounts made for them."""

    def __init__(self, system: System, ledger: Ledger, seed: int, size: int) -> None:
        self.system = system
        self.ledger = ledger
        accounts = [self._account() for _ in range(size + 1)]
        for client, _ in accounts:  # Each has a free number of some offer.
            until(lambda: _has_its_number(client), 60, "a new account has its free number")  # noqa: B023
        self.offers = offers_of(accounts[0][0])
        chosen = [one for one in self.offers if one.available >= 50][:60]
        self.customers = [
            Customer(client, account, ledger, chosen, seed * 1000 + n)
            for n, (client, account) in enumerate(accounts)
        ]
        self.probe = self.customers.pop()  # Buys alone, to see whether the system is of use.

    def _account(self) -> tuple[ApiClient, str]:
        name = uuid.uuid4().hex[:12]
        wanted = {"name": f"Company {name}", "email": f"{name}@example.com", "country": "US"}
        account = self.system.product.staff().post("/v1/accounts", wanted)
        assert account.status == 201, account  # HTTP.
        client = ApiClient(self.system.base_url(), account.body["api_key"])
        added = client.post("/v1/payment-methods", {"payment_method": "pm_card_visa"})
        assert added.status == 201, added  # HTTP.
        return client, str(account.body["id"])

    def start(self) -> Load:
        """All begin."""
        for customer in self.customers:
            customer.start()
        return self

    def stop(self) -> None:
        """Returns when every command that was begun is acknowledged."""
        for customer in self.customers:
            customer.stop()
        end = time.monotonic() + _PATIENCE_SECONDS + 30
        left = [c for c in self.customers if not c.ended(max(0.1, end - time.monotonic()))]
        assert not left, f"{len(left)} customers do not end"

    def everybody(self) -> list[Customer]:
        """Customers and probe."""
        return [*self.customers, self.probe]

    def useful_again(self, since: float, seconds: float = 60.0) -> float:
        """Buys until an order is fulfilled; how long that took from ``since`` (monotonic)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            quote = self.probe.quote()
            order = self.probe.order(quote) if quote else None
            while order and time.monotonic() < end:
                with contextlib.suppress(OSError, HTTPException):
                    seen = self.probe.client.get(f"/v1/orders/{order['id']}")
                    if seen.status == 200 and seen.body["status"] == "fulfilled":
                        return max(0.0, time.monotonic() - since)
                time.sleep(0.05)  # A client has nothing but asking again.
        return float("inf")


def _has_its_number(client: ApiClient) -> bool:
    orders = read(client, "/v1/orders").body["data"]
    return bool(orders) and all(one["status"] == "fulfilled" for one in orders)


def offers_of(client: ApiClient) -> list[Offer]:
    """All offers of geographic numbers, with how many there are."""
    path, found = "/v1/available-numbers?country=US&type=geographic&limit=100", []
    cursor = ""
    while True:
        page = read(client, path + cursor).body
        found += [Offer(one["offer_id"], one["available"]) for one in page["data"]]
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"

"""Billing with a real payment provider beside it: our sandbox, its book, faults and webhooks."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from deploy.payment_sandbox.book import Book, BookedCharge, BookedRefund
from deploy.payment_sandbox.process import SandboxProcess, start_sandbox
from services.billing import spec
from services.billing.messages import ChargeRequested
from services.billing.policies import charge_id_of
from services.orders.messages import (
    OrderConfirmationReported,
    OrderFailed,
    OrderReserved,
    RefundRequested,
)
from shared import failpoints
from shared.codec import Meta, encode_meta
from shared.eventlog import Appended, Entry, NewEvent
from shared.messages import event_type
from shared.money import Money
from shared.rpc import OWNER, STAFF
from tests.contract.payment_servers import Receiver
from tests.support.worlds import SteeredClock, World, context

SECRET_KEY = "sk_test_billing"
PUBLISHABLE_KEY = "pk_test_billing"
WEBHOOK_SECRET = "whsec_billing"


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class Bank:
    """A running payment sandbox, and what can be known of it from outside."""

    folder: Path
    receiver: Receiver
    process: SandboxProcess

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return self.process.base_url

    def faults(self, *rules: dict[str, Any]) -> None:
        """What goes wrong from now on; without rules, nothing."""
        self._ask("PUT", "/_faults", json.dumps({"rules": rules}).encode())

    def charges(self, order_id: str, status: str = "succeeded") -> list[BookedCharge]:
        """What was booked for an order."""
        booked = Book(self.folder).charges()
        return [c for c in booked if c.metadata.get("order_id") == order_id and c.status == status]

    def refunds(self, payment: str) -> list[BookedRefund]:
        """What went back of a payment."""
        return [r for r in Book(self.folder).refunds() if r.payment_intent == payment]

    def payment(self, provider_id: str) -> dict[str, Any]:
        """A payment as it stands."""
        return self._ask("GET", f"/v1/payment_intents/{provider_id}")

    def payments(self, customer: str) -> list[dict[str, Any]]:
        """All payments of a customer."""
        found = self._ask("GET", f"/v1/payment_intents?customer={customer}&limit=100")
        return list(found["data"])

    def refund(self, payment: str, amount: int) -> dict[str, Any]:
        """Somebody refunds in the provider's own dashboard; minor units."""
        fields = {"payment_intent": payment, "amount": amount}
        return self._ask("POST", "/v1/refunds", urlencode(fields).encode())

    def take(self, customer: str, card: str, amount: int, charge_id: str) -> None:
        """Somebody takes money by hand and calls it one of our charges; minor units."""
        fields = {
            "customer": customer,
            "payment_method": card,
            "amount": amount,
            "currency": "usd",
            "confirm": "true",
            "metadata[charge_id]": charge_id,
        }
        self._ask("POST", "/v1/payment_intents", urlencode(fields).encode())

    def forget_keys(self) -> None:
        """What Stripe does with idempotency keys after 24 hours."""
        with closing(sqlite3.connect(self.folder / "payments.db")) as book:
            book.execute("DELETE FROM idempotency")
            book.commit()

    def finish_authentication(self, payment: str, secret: str, *, succeeds: bool) -> None:
        """What the person does in the window of his bank."""
        outcome = "complete" if succeeds else "fail"
        fields = {"key": PUBLISHABLE_KEY, "client_secret": secret, "outcome": outcome}
        path = f"/v1/payment_intents/{payment}/authenticate"
        self._ask("POST", path, urlencode(fields).encode(), authorized=False)

    def confirm_setup(self, setup_id: str, secret: str, token: str) -> None:
        """What the provider's script does with a card in the browser."""
        fields = {"key": PUBLISHABLE_KEY, "client_secret": secret, "payment_method": token}
        path = f"/v1/setup_intents/{setup_id}/confirm"
        self._ask("POST", path, urlencode(fields).encode(), authorized=False)

    def customer_of(self, card: str) -> str | None:
        """Whose card it is at the provider; ``None`` once it is detached."""
        found: str | None = self._ask("GET", f"/v1/payment_methods/{card}")["customer"]
        return found

    def _ask(
        self, method: str, path: str, body: bytes | None = None, *, authorized: bool = True
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {SECRET_KEY}"} if authorized else {}
        request = urllib.request.Request(self.base_url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def bank(folder: Path) -> Iterator[Bank]:
    """A payment sandbox on a free port, with a receiver for its webhooks."""
    receiver = Receiver()
    made = Bank(folder, receiver, launch(folder, receiver))
    try:
        yield made
    finally:
        made.process.stop()
        receiver.stop()


def launch(folder: Path, receiver: Receiver, port: int = 0) -> SandboxProcess:
    """Starts it on the book that lies in the folder."""
    return start_sandbox(
        folder,
        secret_key=SECRET_KEY,
        publishable_key=PUBLISHABLE_KEY,
        webhook_url=receiver.url,
        webhook_secret=WEBHOOK_SECRET,
        port=port,
    )


class Billed:
    """One installation with nothing but billing, an open account, and a bank.

    Order ids are unique to the world, so that many worlds can share a bank.
    """

    def __init__(self, folder: Path, bank: Bank, *, timeout: str = "10") -> None:
        self.bank = bank
        self.tag = uuid.uuid4().hex[:8]
        self.clock = SteeredClock(datetime.now(UTC))
        self.world = World(
            folder,
            [spec()],
            machine=self.clock,
            stripe_secret_key=SECRET_KEY,
            stripe_publishable_key=PUBLISHABLE_KEY,
            stripe_webhook_secret=WEBHOOK_SECRET,
            stripe_api_base=bank.base_url,
            stripe_timeout=timeout,
        )
        self.account = self.open_account()

    def call(self, method: str, *, account: str | None = None, **arguments: Any) -> Any:
        """A call of an owner of the account; ``key``, ``roles`` may be named."""
        key = arguments.pop("key", uuid.uuid4().hex)
        roles = arguments.pop("roles", (OWNER,))
        ctx = context(self.account if account is None else account, key=key, roles=roles)
        return self.world.client.call("billing", method, ctx, **arguments)

    def open_account(self, key: str | None = None) -> str:
        """Another account; its id."""
        fields = {"name": "Ada Ltd", "email": "ada@example.com", "country": "GB"}
        key = key or uuid.uuid4().hex
        found = self.call("open_account", account="", roles=(STAFF,), key=key, **fields)
        return str(found["id"])

    def add_card(self, token: str = "pm_card_visa", **more: Any) -> dict[str, Any]:
        """A card of the account."""
        found: dict[str, Any] = self.call("add_payment_method", payment_method=token, **more)
        return found

    def order(self, name: str = "1") -> str:
        """An order id of this world."""
        return f"ord_{self.tag}_{name}"

    def reserve(
        self, name: str = "1", dollars: int = 5, *, cents: int = 0, card: str | None = None
    ) -> str:
        """An order is to be charged; its charge's id."""
        reserved = OrderReserved(
            order_id=self.order(name),
            account_id=self.account,
            hold_id="qt_1",
            lines=(),
            missing=(),
            amount=Money(dollars * 1_000_000 + cents * 10_000, "USD"),
            payment_method_id=card,
        )
        self.say(reserved)
        return charge_id_of(self.order(name))

    def fail(self, name: str = "1") -> None:
        """An order ends without numbers."""
        order_id = self.order(name)
        self.say(
            OrderFailed(
                order_id=order_id, account_id=self.account, hold_id="qt_1", code="x", detail=""
            )
        )

    def report_confirmation(self, name: str = "1") -> None:
        """The customer says that the bank's step is done."""
        order_id = self.order(name)
        charge_id = charge_id_of(order_id)
        self.say(
            OrderConfirmationReported(
                order_id=order_id, account_id=self.account, charge_id=charge_id
            )
        )

    def refund_id(self, part: str = "1") -> str:
        """A refund id of this world: the bank keeps keys, and many worlds share it."""
        return f"ref_{self.tag}_{part}"

    def ask_refund(self, cents: int, part: str = "1", name: str = "1") -> None:
        """Orders wants money returned."""
        requested = RefundRequested(
            order_id=self.order(name),
            account_id=self.account,
            refund_id=self.refund_id(part),
            charge_id=charge_id_of(self.order(name)),
            amount=Money(cents * 10_000, "USD"),
            numbers=(),
            reason="",
        )
        self.say(requested)

    def say(self, event: Any) -> None:
        """Another service's event, put into the log as that service would."""
        kind, event_id = event_type(type(event)), uuid.uuid4()
        meta = Meta(
            command_id=uuid.uuid4(),
            correlation_id="req_1",
            actor="user:u_1",
            occurred_at=self.clock.now(),
        )
        payload = self.world.application.codec.encode(event, event_id.bytes)
        new = NewEvent(
            event_id.bytes, self.account, kind.name, kind.version, payload, encode_meta(meta)
        )
        stream = f"order-{event.order_id}"
        version = len(self.world.log.read_stream(stream))
        (outcome,) = self.world.log.append_batch([Entry(stream, "order", version, (new,))])
        assert isinstance(outcome, Appended)

    def settle(self, seconds: float = 0) -> None:
        """Lets time pass, then everything run until nothing has work."""
        self.clock.forward(seconds=seconds)
        self.world.settle()

    def restart(self) -> None:
        """Another process takes over."""
        self.world = self.world.restart([spec()])

    def step_and_die_at(self, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker takes up its next call, and its process ends at a named place."""

        def reach(here: str) -> None:
            if here == place:
                raise KilledError

        with monkeypatch.context() as dying:
            dying.setattr(failpoints, "reach", reach)
            with pytest.raises(KilledError):
                self.world.worker("billing").step()

    def lose_state(self) -> None:
        """The state store is gone, the log is not."""
        self.world.close()
        for file in self.world.folder.glob("state.db*"):
            file.unlink()
        self.restart()

    def told(self, order: str = "1") -> list[str]:
        """What the log says of an order's charge: the types of event."""
        mine = charge_id_of(self.order(order))
        happened = self.world.happened()
        return [e.type for e in happened if getattr(e.message, "charge_id", None) == mine
                and e.stored.category == "charge"]  # fmt: skip

    def last(self, kind: type) -> Any:
        """The last event of a type."""
        return self.world.messages(kind)[-1]

    @property
    def customer(self) -> str:
        """The provider's customer of the last charge."""
        return str(self.last(ChargeRequested).provider_customer)

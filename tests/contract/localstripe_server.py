"""localstripe with the gaps closed that billing meets; started only as a separate test process.

localstripe is GPLv3: nothing of the platform imports this file.  It is a second opinion on the
contract in test_payment_provider.py, written by people who never saw our sandbox.

Announces {"port": N} on stdout and ends when its stdin is closed, as the payment sandbox does.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import socket
import sys
import threading
from typing import Any

from aiohttp import web
from localstripe import resources, server, webhooks
from localstripe.errors import UserError

OTHER_PARAMETERS = "Keys for idempotent requests can only be used with the same parameters"
EXTRA_TOKENS = {
    "pm_card_mastercard": "5555555555554444",
    "pm_card_authenticationRequired": "4000002760003184",
}
_booked: dict[str, tuple[tuple[str, bytes], int, str]] = {}


@web.middleware
async def replay(request: web.Request, handler: Any) -> web.StreamResponse:
    """Idempotency-Key, which localstripe ignores."""
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or not key:
        return await handler(request)
    asked = (request.path, await request.read())
    if key in _booked:
        known, status, text = _booked[key]
        if known != asked:
            error = {"type": "idempotency_error", "message": OTHER_PARAMETERS}
            return web.json_response({"error": error}, status=400)
        again = {"Idempotent-Replayed": "true"}
        return web.Response(
            text=text, status=status, content_type="application/json", headers=again
        )
    response = await handler(request)
    _booked[key] = (asked, response.status, response.text)
    return response


def accept(cls: type, *names: str, method: str = "__init__") -> None:
    """Take fields that localstripe refuses, and keep them as attributes."""
    static = inspect.getattr_static(cls, method)
    original = getattr(static, "__func__", static)

    def wrapped(self: Any, *args: Any, **given: Any) -> Any:
        kept = {name: given.pop(name) for name in names if name in given}
        result = original(self, *args, **given)
        for name, value in kept.items():
            setattr(self if method == "__init__" else result, name, value)
        return result

    setattr(cls, method, classmethod(wrapped) if isinstance(static, classmethod) else wrapped)


def accept_missing_fields() -> None:
    """The parameters of Stripe that billing sends and localstripe does not know."""
    payment = "description statement_descriptor_suffix automatic_payment_methods"
    payment += " setup_future_usage receipt_email error_on_requires_action return_url"
    accept(resources.PaymentIntent, *payment.split())
    accept(resources.SetupIntent, "automatic_payment_methods", "description")
    accept(resources.SetupIntent, "return_url", "mandate_data", method="_api_confirm")
    accept(resources.Refund, "reason")
    resources.PaymentIntent.amount_received = property(
        lambda intent: intent.amount if intent.status == "succeeded" else 0
    )


def know_more_tokens() -> None:
    """Test tokens that localstripe lacks."""
    original = resources.PaymentMethod._try_get_canonical_test_article

    def article(identifier: str) -> Any:
        if identifier not in EXTRA_TOKENS:
            return original(identifier)
        card = {"number": EXTRA_TOKENS[identifier], "exp_month": "12", "exp_year": "2034"}
        return resources.PaymentMethod(type="card", card=card | {"cvc": "123"})

    resources.PaymentMethod._try_get_canonical_test_article = staticmethod(article)


def refuse_off_session_authentication() -> None:
    """Off session, a 3-D Secure card is refused with 402 instead of waiting for a person."""
    original = resources.PaymentIntent._api_create.__func__

    def create(cls: type, off_session: Any = None, **data: Any) -> Any:
        intent = original(cls, off_session=off_session, **data)
        if not resources.try_convert_to_bool(off_session) or intent.status != "requires_action":
            return intent
        intent.next_action, intent.payment_method = None, None
        webhooks.schedule_webhook(resources.Event("payment_intent.payment_failed", intent))
        code = "authentication_required"
        more = {"code": code, "decline_code": code, "payment_intent": intent._export()}
        message = "Your card was declined. This transaction requires authentication."
        raise UserError(402, message, more)

    resources.PaymentIntent._api_create = classmethod(create)


def list_by_customer() -> None:
    """Payment intents of one customer, newest first."""

    def listed(cls: Any, url: str, customer: str | None = None, **more: Any) -> Any:
        found = super(resources.PaymentIntent, cls)._api_list_all(url, limit=99)
        mine = [intent for intent in found._list if customer in {None, intent.customer}]
        found._list = sorted(mine, key=_age)[: int(more.get("limit", 10))]
        return found

    order = {}
    original = resources.PaymentIntent.__init__

    def numbered(self: Any, *args: Any, **given: Any) -> None:
        original(self, *args, **given)
        order[self.id] = len(order)

    def _age(intent: Any) -> int:
        return -order[intent.id]

    resources.PaymentIntent.__init__ = numbered
    resources.PaymentIntent._api_list_all = classmethod(listed)


def attach_on_setup() -> None:
    """A confirmed setup intent attaches the card and says so."""
    original = resources.SetupIntent._attach_pm

    def attach(self: Any, method: Any) -> None:
        original(self, method)
        if self.status == "succeeded":
            method.customer = self.customer or method.customer
            webhooks.schedule_webhook(resources.Event("setup_intent.succeeded", self))

    resources.SetupIntent._attach_pm = attach


def limit_refunds() -> None:
    """No more is given back than was taken, and an event says what was."""
    original = resources.Refund.__init__

    def refund(self: Any, charge: Any = None, payment_intent: Any = None, **more: Any) -> None:
        charged = (
            resources.Charge._api_retrieve(charge)
            if charge
            else resources.PaymentIntent._api_retrieve(payment_intent).latest_charge
        )
        left = charged.amount - sum(made.amount for made in charged.refunds._list)
        amount = int(more.pop("amount", None) or left)
        if not left:
            raise UserError(400, "Already refunded.", {"code": "charge_already_refunded"})
        if amount > left:
            raise UserError(400, "Refund amount is greater than unrefunded amount on charge.")
        original(self, charge=charge, payment_intent=payment_intent, amount=amount, **more)
        webhooks.schedule_webhook(resources.Event("charge.refunded", charged))

    resources.Refund.__init__ = refund


def end_with_parent() -> None:
    """Wait for the end of stdin, then leave."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def main() -> None:
    """Patch, listen on a free port of 127.0.0.1, announce it, answer."""
    resources.Store.try_load_from_disk = lambda _store: None
    resources.Store.dump_to_disk = lambda _store: None
    know_more_tokens()
    refuse_off_session_authentication()
    list_by_customer()
    accept_missing_fields()
    attach_on_setup()
    limit_refunds()
    accept(resources.Refund, "reason")
    server.app.middlewares.insert(0, replay)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        web.run_app(server.app, sock=listener, print=None, access_log=None)


if __name__ == "__main__":
    main()

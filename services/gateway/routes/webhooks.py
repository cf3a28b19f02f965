"""What the payment provider reports."""

from __future__ import annotations

from typing import Any

from flask import g, request

from services.gateway.declare import Key, Routes
from services.gateway.identity import Who
from services.gateway.surroundings import gateway
from shared.refusals import refusal
from shared.rpc import SYSTEM, CallContext

ROUTES = Routes("Webhooks", "Reports of the payment provider; signed by it.")
_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
_HANDLED = {"description": "Taken in", "content": {"application/json": {"schema": {}}}}


@ROUTES.post(
    "/v1/webhooks/stripe",
    {200: _HANDLED},
    who=Who.ANYONE,
    key=Key.IGNORED,
    refuses=("webhook_signature_wrong",),
    body=_BODY,
)
def receive_stripe_webhook() -> Any:
    """Take a report of the payment provider in"""
    signature = request.headers.get("Stripe-Signature")
    if not signature:
        raise refusal("webhook_signature_wrong", "There is no Stripe-Signature.")
    body = _text(request.get_data())
    return gateway().client.call(
        "billing", "receive_webhook", _context(), body=body, signature=signature
    )


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise refusal("malformed_json", "The body is not UTF-8.") from None


def _context() -> CallContext:
    # Who it is, the signature says; billing checks it before anything else.
    return CallContext(
        account_id="",
        actor="stripe",
        roles=(SYSTEM,),
        correlation_id=g.request_id,
        key=f"webhook:{g.request_id}",
    )

"""What the payment provider answers, in our words: plain values made of Stripe's objects
(as ``to_dict()`` gives them)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NO_REASON = "The payment did not go through."


class ProviderRefusedError(Exception):
    """The provider answered: no. ``code`` is one of ours, ``detail`` is fit for the customer."""

    def __init__(self, code: str, detail: str, payment_id: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.payment_id = payment_id


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment at the provider. ``status`` is Stripe's word for a payment intent, or
    ``declined``; ``code`` and ``detail`` say why it failed, if it did. Amount in minor units."""

    id: str
    status: str
    amount_minor: int = 0
    currency: str = ""
    client_secret: str = ""
    receipt_url: str = ""
    code: str = "payment_failed"
    detail: str = NO_REASON


@dataclass(frozen=True, slots=True)
class Returned:
    """One refund at the provider; ``refund_id`` is ours, empty for one made elsewhere."""

    id: str
    refund_id: str
    amount_minor: int
    status: str


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What may be known of a card."""

    provider_id: str
    provider_customer: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class Setup:
    """A card on its way to us. ``card`` is there once ``status`` is ``succeeded``; ``failure`` is
    a code and a detail."""

    id: str
    status: str
    client_secret: str
    account_id: str
    card: CardFacts | None = None
    failure: tuple[str, str] | None = None


_AUTHENTICATION = frozenset(
    {
        "authentication_required",
        "payment_intent_authentication_failure",
        "setup_intent_authentication_failure",
    }
)
_NOT_THE_CARD = frozenset({"processing_error"})


def failure_of(error: dict[str, Any]) -> tuple[str, str]:
    """Code and detail of what Stripe calls an error of the card (``last_payment_error`` and the
    like). Stripe writes the message of a card error for the customer, all others for us."""
    code = error.get("code") or ""
    if code in _AUTHENTICATION:
        return "authentication_required", "The bank's confirmation was not given."
    if error.get("type") != "card_error" or code in _NOT_THE_CARD:
        return "payment_failed", NO_REASON
    return "card_declined", error.get("message") or "The card was declined."


def payment_of(intent: dict[str, Any]) -> Payment:
    """A payment intent; its ``latest_charge`` may be expanded or not."""
    charge = intent.get("latest_charge")
    error = intent.get("last_payment_error")
    code, detail = failure_of(error) if error else ("payment_failed", NO_REASON)
    return Payment(
        id=intent["id"],
        status=intent["status"],
        amount_minor=intent["amount"],
        currency=intent["currency"].upper(),
        client_secret=intent.get("client_secret") or "",
        receipt_url=""
        if charge is None or isinstance(charge, str)
        else charge["receipt_url"] or "",
        code=code,
        detail=detail,
    )


def returned_of(refund: dict[str, Any]) -> Returned:
    """A refund."""
    metadata = refund.get("metadata") or {}
    return Returned(
        id=refund["id"],
        refund_id=metadata.get("refund_id") or "",
        amount_minor=refund["amount"],
        status=refund["status"],
    )


def card_of(method: dict[str, Any]) -> CardFacts:
    """A payment method of the kind card."""
    card = method["card"]
    return CardFacts(
        provider_id=method["id"],
        provider_customer=method["customer"] or "",
        brand=card["brand"],
        last4=card["last4"],
        exp_month=card["exp_month"],
        exp_year=card["exp_year"],
    )


def setup_of(intent: dict[str, Any]) -> Setup:
    """A setup intent with its payment method expanded, if it has one."""
    method = intent.get("payment_method")
    done = intent["status"] == "succeeded"
    error = intent.get("last_setup_error")
    return Setup(
        id=intent["id"],
        status=intent["status"],
        client_secret=intent["client_secret"],
        account_id=(intent.get("metadata") or {}).get("account_id") or "",
        card=card_of(method) if done and isinstance(method, dict) else None,
        failure=failure_of(error) if error else None,
    )

"""What billing answers to commands: made of what was recorded, because the views may lag."""

from __future__ import annotations

from typing import Any

from services.billing.domain.account import Account, Card
from services.billing.domain.charge_state import Charge
from services.billing.messages import AccountOpened
from services.billing.queries import time_text
from shared.application import Done
from shared.codec import decode_meta
from shared.eventlog import EventLog
from shared.money import Money, parse_micros, require_currency
from shared.refusals import refusal

Answer = dict[str, Any]


def opened(done: Done, log: EventLog) -> Answer:
    """A new account. Repeated, it is told as it was opened."""
    event: AccountOpened = done.events[0]
    recorded = log.read_at(done.position)
    at = decode_meta(recorded.metadata).occurred_at if recorded else None
    return {
        "id": event.account_id,
        "name": str(event.name),
        "email": str(event.email),
        "country": event.country,
        "time_zone": event.time_zone,
        "currency": event.currency,
        "created_at": time_text(at) if at else None,
        "position": done.position,
    }


def card(owner: Account, found: Card, position: int) -> Answer:
    """A card as it stands on its account."""
    return {
        "id": found.payment_method_id,
        "brand": found.brand,
        "last4": found.last4,
        "exp_month": found.exp_month,
        "exp_year": found.exp_year,
        "default": found.payment_method_id == owner.default,
        "position": position,
    }


def card_done(done: Done, payment_method_id: str) -> Answer:
    """A card after a command. Raises ``payment_method_unknown``."""
    owner: Account = done.state
    found = owner.known(payment_method_id)
    if found is None:
        raise refusal("payment_method_unknown", param="payment_method_id")
    return card(owner, found, done.position)


def refund(done: Done, refund_id: str) -> Answer:
    """A refund on its way."""
    state: Charge = done.state
    return {
        "id": refund_id,
        "charge_id": state.charge_id,
        "order_id": state.order_id,
        "amount": state.refunds[refund_id].amount.as_json(),
        "status": state.refunds[refund_id].status,
        "position": done.position,
    }


def money(given: Any) -> Money:
    """``{"amount": "1.26", "currency": "USD"}``. Raises ``invalid_value``."""
    if not isinstance(given, dict) or given.keys() != {"amount", "currency"}:
        raise refusal("invalid_value", "An amount has amount and currency.", param="amount")
    return Money(parse_micros(str(given["amount"])), require_currency(str(given["currency"])))

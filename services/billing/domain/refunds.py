"""The rules of returning the money of a charge: never more than was taken, or is owed."""

from __future__ import annotations

from collections.abc import Sequence

from services.billing.domain import owed
from services.billing.domain.charge_state import OWED, Charge, Event
from services.billing.messages import (
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeRefundRequested,
    RecordRefunded,
    RecordRefundFailed,
    RefundCharge,
)
from shared.refusals import refusal


def request(command: RefundCharge, charge: Charge) -> Sequence[Event]:
    """Requests a refund once. One that cannot be is answered by ``ChargeRefundFailed``, not by a
    refusal: the service that asked by an event has to hear of it. What is owed becomes less at
    once; what is just being paid waits for how that ends (``owed.py``)."""
    _require_money(charge)
    if command.refund_id in charge.refunds:
        return []
    # What was deferred was not rounded: its payment rounds the sum.
    amount = command.amount if charge.is_deferred else command.amount.rounded()
    if amount.micros <= 0 or amount.currency != charge.amount.currency:
        detail = f"A refund is an amount over 0 in {charge.amount.currency}."
        return [_refund_failed(charge, command.refund_id, "invalid_value", detail)]
    if amount.micros > charge.left.micros:
        detail = f"{charge.left} {amount.currency} of this charge are left to refund."
        return [_refund_failed(charge, command.refund_id, "refund_too_large", detail)]
    if charge.status == OWED:
        return [owed.reduced(charge, command.refund_id, amount)]
    return [
        ChargeRefundRequested(
            **charge.ids,
            refund_id=command.refund_id,
            amount=amount,
            provider_id=charge.provider_id,
        )
    ]


def record(command: RecordRefunded, charge: Charge) -> Sequence[Event]:
    """Returned: what we asked for, or what was refunded at the provider itself, each once.
    More than was taken cannot have gone back: ``refund_too_large``."""
    _require_money(charge)
    mine = charge.refunds.get(command.refund_id)
    if any(r.provider_refund == command.provider_refund for r in charge.refunds.values()):
        return []
    amount = mine.amount if mine and mine.status == "requested" else command.amount
    if amount.micros > (charge.amount - charge.refunded("refunded")).micros:
        raise refusal("refund_too_large")
    return [
        ChargeRefunded(
            **charge.ids,
            refund_id=command.refund_id,
            amount=amount,
            provider_refund=command.provider_refund,
        )
    ]


def record_failed(command: RecordRefundFailed, charge: Charge) -> Sequence[Event]:
    """The provider refuses a refund that is on its way."""
    _require_money(charge)
    mine = charge.refunds.get(command.refund_id)
    if mine is None or mine.status != "requested":
        return []
    return [_refund_failed(charge, command.refund_id, command.code, command.detail)]


def _refund_failed(charge: Charge, refund_id: str, code: str, detail: str) -> ChargeRefundFailed:
    return ChargeRefundFailed(
        **charge.ids,
        refund_id=refund_id,
        code=code,
        detail=detail,
    )


def require_requested(charge: Charge) -> None:
    """Raises ``charge_unknown`` for a charge of which nothing was ever asked of the provider."""
    if not charge.was_requested:
        raise refusal("charge_unknown")


def _require_money(charge: Charge) -> None:
    if not charge.is_deferred:
        require_requested(charge)

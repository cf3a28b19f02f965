"""The row of a charge, folded from events. Pure: no store, no clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.billing.domain.charge_state import BEING_PAID, OWED, SETTLED
from services.billing.messages import (
    ChargeActionRequired,
    ChargeDeferred,
    ChargeFailed,
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeRefundRequested,
    ChargeRequested,
    ChargeSucceeded,
    ChargeUnknown,
    DeferredChargeClaimed,
    DeferredChargeReleased,
    DeferredChargeSettled,
    OwedPaymentRequested,
)
from shared.consumers.rows import Row
from shared.happened import Happened


def fresh(event: Happened) -> Row:
    """The row of a charge of which nothing was known."""
    message = event.message
    return {
        "charge_id": message.charge_id,
        "account_id": message.account_id,
        # A payment of what is owed begins before it is requested, and is no order's.
        "order_id": getattr(message, "order_id", ""),
        "status": "requested",
        "amount_micros": None,
        "currency": None,
        "payment_method_id": None,
        "receipt_url": None,
        "failure_code": None,
        "failure_detail": None,
        "refunds": [],
        "pays": [],
        "paid_by": None,
        "created_at": event.at,
        "updated_at": event.at,
        "position": event.position,
    }


def change(row: Row, message: Any, at: datetime) -> None:
    """One event into the row."""
    match message:
        case ChargeRequested():
            row |= {"amount_micros": message.amount.micros, "currency": message.amount.currency}
            row["payment_method_id"] = message.payment_method_id
        case ChargeSucceeded():
            row |= {"status": "succeeded", "receipt_url": message.receipt_url or None}
            row |= {"failure_code": None, "failure_detail": None}
        case ChargeFailed():
            row |= {"status": "failed", "failure_code": message.code}
            row |= {"failure_detail": message.detail}
        case ChargeActionRequired():
            row["status"] = "action_required"
        case ChargeUnknown():
            row["status"] = "unknown"
        case ChargeRefundRequested() | ChargeRefunded() | ChargeRefundFailed():
            _refund(row, message, at)
        case _:
            _owed(row, message)


def _owed(row: Row, message: Any) -> None:
    match message:
        case ChargeDeferred():
            row |= {"status": OWED, "amount_micros": message.amount.micros}
            row["currency"] = message.amount.currency
        case OwedPaymentRequested():
            row |= {"pays": list(message.charges), "amount_micros": message.amount.micros}
            row["currency"] = message.amount.currency
        case DeferredChargeClaimed():
            row |= {"status": BEING_PAID, "paid_by": message.payment_id}
        case DeferredChargeReleased():
            row |= {"status": OWED, "paid_by": None}
        case DeferredChargeSettled():
            row |= {"status": SETTLED, "paid_by": message.payment_id}


def _refund(row: Row, message: Any, at: datetime) -> None:
    match message:
        case ChargeRefundFailed():
            failure = {"code": message.code, "detail": message.detail}
            _change_refund(row, message.refund_id, at, status="failed", failure=failure)
        case _:
            status = "refunded" if isinstance(message, ChargeRefunded) else "requested"
            _change_refund(row, message.refund_id, at, status=status, micros=message.amount.micros)


def _change_refund(row: Row, refund_id: str, at: datetime, **changed: Any) -> None:
    new = {"id": refund_id, "micros": 0, "failure": None, "created_at": at.isoformat()}
    known = {refund["id"]: refund for refund in row["refunds"]}
    # A new list: the row in the database and the one that is folded must not share it.
    row["refunds"] = [
        *({**known, refund_id: {**new, **known.get(refund_id, {}), **changed}}).values()
    ]

"""The row of an order, folded from events, and how RPC shows it. Pure: no store, no clock.

The projection and the answers to commands use the same functions, so that an answer is the row with
the command's own event folded on, even where the view lags behind.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.billing.messages import ChargeRequested
from services.inventory.messages import HoldAsked, Missing
from services.orders.domain.order_state import PURCHASE
from services.orders.messages import (
    OrderActionRequired,
    OrderChargeUnknown,
    OrderConfirmationReported,
    OrderFailed,
    OrderFulfilled,
    OrderNeedsOperator,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderRefundFailed,
    OrderReserved,
    RefundRequested,
)
from shared.money import Money

Row = dict[str, Any]
EVENTS = (
    OrderPlaced,
    OrderReserved,
    OrderActionRequired,
    OrderConfirmationReported,
    OrderChargeUnknown,
    OrderPaid,
    OrderFulfilled,
    OrderFailed,
    OrderNeedsOperator,
    RefundRequested,
    OrderRefunded,
    OrderRefundFailed,
    HoldAsked,
    ChargeRequested,
)

# With these a buyer's waiting may be over.
ENDING = (
    OrderActionRequired,
    OrderFulfilled,
    OrderFailed,
    OrderNeedsOperator,
    OrderRefunded,
)


def placed(e: OrderPlaced, at: datetime, position: int) -> Row:
    """The row of a new order. ``placed_at`` is the log position that orders lists."""
    return {
        "order_id": e.order_id,
        "account_id": e.account_id,
        "kind": e.kind,
        "status": "placed",
        "numbers": [],
        "lines": [],
        "missing": [],
        "refunds": {},
        "currency": None,
        "total": None,
        "charged": None,
        "refunded": 0,
        "charge_id": None,
        "payment_method_id": e.payment_method_id,
        "failure_code": None,
        "failure_detail": None,
        "action_expires_at": None,
        "quote_id": None if e.hold_id == e.order_id else e.hold_id,
        "created_at": at,
        "updated_at": at,
        "placed_at": position,
        "position": position,
    }


def change(row: Row, message: Any, at: datetime, position: int) -> None:
    """One later event into the row."""
    row.update(position=position, updated_at=at)
    match message:
        case OrderReserved() as e:
            _reserved(row, e)
        case OrderFulfilled() as e:
            _fulfilled(row, e)
        case OrderFailed() as e:
            _failed(row, e)
        case RefundRequested() | OrderRefunded() | OrderRefundFailed() as e:
            _refund(row, e)
        case HoldAsked():
            # The free order shows as placed until there is stock for it.
            if row["status"] == "placed" and row["kind"] == PURCHASE:
                row["status"] = "reserving"
        case _:
            _charging(row, message)


def _charging(row: Row, message: Any) -> None:
    match message:
        case ChargeRequested() as e:
            row["charge_id"] = e.charge_id
        case OrderActionRequired() as e:
            row.update(status="action_required", charge_id=e.charge_id)
            row["action_expires_at"] = e.expires_at
        case OrderChargeUnknown() as e:
            row.update(status="charging", charge_id=e.charge_id, action_expires_at=None)
        case OrderPaid() as e:
            row.update(status="charging", charge_id=e.charge_id, action_expires_at=None)
            row["charged"] = None if e.charge_id is None else e.amount.micros
        case OrderNeedsOperator():
            row["status"] = "needs_operator"


def _reserved(row: Row, e: OrderReserved) -> None:
    row.update(status="charging", currency=e.amount.currency, total=e.amount.micros)
    row["lines"] = [line.as_json() for line in e.lines]
    row["missing"] = [_missing_json(m) for m in e.missing]
    held = [_number(n, line.offer_id, "held") for line in e.lines for n in line.numbers]
    gone = [m for m in e.missing if m.item.number is not None]
    row["numbers"] = held + [_number(m.item.number, None, "refused", m.code) for m in gone]


def _number(number: str | None, offer_id: str | None, status: str, code: str | None = None) -> Row:
    shown = {"number": number, "num_id": None, "offer_id": offer_id, "status": status}
    return shown if code is None else shown | {"code": code}


def _fulfilled(row: Row, e: OrderFulfilled) -> None:
    row["status"] = "fulfilled"
    num_ids = {n.number: n.num_id for n in e.numbers}
    for number in row["numbers"]:
        if number["number"] in num_ids:
            number.update(num_id=num_ids[number["number"]], status="purchased")
        elif number["number"] in e.refused:
            number.update(status="refused", code="number_gone")
    _settle(row)


def _failed(row: Row, e: OrderFailed) -> None:
    row.update(status="failed", failure_code=e.code, failure_detail=e.detail)
    row["action_expires_at"] = None
    for number in row["numbers"]:
        if number["status"] == "held":
            number.update(status="refused", code=e.code)


def _refund(row: Row, e: RefundRequested | OrderRefunded | OrderRefundFailed) -> None:
    known = row["refunds"].get(e.refund_id, {"numbers": [], "reason": ""})
    if isinstance(e, RefundRequested):
        known = {"numbers": list(e.numbers), "reason": e.reason}
        row["charge_id"] = e.charge_id
    if not isinstance(e, OrderRefundFailed):
        known |= {"amount": e.amount.micros, "currency": e.amount.currency}
    row["refunds"] = row["refunds"] | {e.refund_id: known | {"status": _STATUS[type(e)]}}
    if isinstance(e, OrderRefunded):
        _returned(row, known["numbers"], e.amount)


_STATUS = {RefundRequested: "requested", OrderRefunded: "returned", OrderRefundFailed: "failed"}


def _returned(row: Row, numbers: list[str], amount: Money) -> None:
    row["refunded"] += amount.micros
    row["currency"] = row["currency"] or amount.currency
    for number in row["numbers"]:
        if number["number"] in numbers:
            number["status"] = "refunded"
    _settle(row)


def _settle(row: Row) -> None:
    # A failed order stays failed for the customer, also when late money was returned.
    all_returned = row["charged"] is not None and row["refunded"] >= row["charged"]
    if all_returned and row["status"] in {"fulfilled", "charging"}:
        row["status"] = "refunded"


def _missing_json(m: Missing) -> Row:
    wish = {"number": m.item.number} if m.item.number else {"offer_id": m.item.offer_id}
    return wish | {"quantity": m.quantity, "code": m.code}


def order_json(row: Row) -> Row:
    """The order as RPC shows it. Amounts are ``None`` until the numbers are pinned and priced."""
    failed = row["failure_code"] is not None
    failure = {"code": row["failure_code"], "detail": row["failure_detail"]} if failed else None
    return {
        "id": row["order_id"],
        "account_id": row["account_id"],
        "kind": row["kind"],
        "status": row["status"],
        "numbers": row["numbers"],
        "lines": row["lines"],
        "missing": row["missing"],
        "total": _money(row["total"], row["currency"]),
        "refunded_total": _money(row["refunded"], row["currency"]),
        "refunds": [_refund_json(id_, refund) for id_, refund in row["refunds"].items()],
        "charge_id": row["charge_id"],
        "payment_method_id": row["payment_method_id"],
        "failure": failure,
        "action_expires_at": time_json(row["action_expires_at"]),
        "quote_id": row["quote_id"],
        "created_at": time_json(row["created_at"]),
        "updated_at": time_json(row["updated_at"]),
        "position": row["position"],
    }


def _money(micros: int | None, currency: str | None) -> dict[str, str] | None:
    return None if micros is None or currency is None else Money(micros, currency).as_json()


def _refund_json(refund_id: str, refund: Row) -> Row:
    return {
        "id": refund_id,
        "status": refund["status"],
        "amount": _money(refund["amount"], refund["currency"]),
        "numbers": refund["numbers"],
        "reason": refund["reason"],
    }


def time_json(at: datetime | None) -> str | None:
    """RFC 3339 with ``Z``. Times from the store are UTC without saying so."""
    if at is None:
        return None
    if at.tzinfo is UTC:
        return at.isoformat().replace("+00:00", "Z")
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")

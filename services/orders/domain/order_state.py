"""What an order is, folded from its events. No rules: those are in ``order.py`` and ``refunds.py``.

placed → reserved → (action required | charge unknown) → paid → fulfilled | failed. Waiting for an
operator is no step of its own: an outcome that arrives later still settles the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from services.inventory.messages import HeldLine
from services.orders.messages import (
    OrderActionRequired,
    OrderChargeCheckRequested,
    OrderChargeUnknown,
    OrderConfirmationReported,
    OrderFailed,
    OrderFulfilled,
    OrderGivenUp,
    OrderNeedsOperator,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderRefundFailed,
    OrderReserved,
    RefundRequested,
)
from shared.money import Money

Event = (
    OrderPlaced
    | OrderReserved
    | OrderActionRequired
    | OrderConfirmationReported
    | OrderChargeUnknown
    | OrderPaid
    | OrderFulfilled
    | OrderFailed
    | OrderNeedsOperator
    | OrderChargeCheckRequested
    | OrderGivenUp
    | RefundRequested
    | OrderRefunded
    | OrderRefundFailed
)

PURCHASE, FREE = "purchase", "free"
NEW, PLACED, RESERVED, ACTION_REQUIRED, CHARGE_UNKNOWN, PAID, FULFILLED, FAILED = (
    "new",
    "placed",
    "reserved",
    "action_required",
    "charge_unknown",
    "paid",
    "fulfilled",
    "failed",
)
REQUESTED, RETURNED, NOT_RETURNED = "requested", "returned", "not_returned"


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back, and for which numbers (none: goodwill)."""

    amount: Money
    numbers: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True)
class Order:
    """How far an order is. ``charged`` is the money taken; ``expires_at`` ends the bank's step."""

    status: str = NEW
    account_id: str = ""
    kind: str = ""
    hold_id: str = ""
    payment_method_id: str | None = None
    lines: tuple[HeldLine, ...] = ()
    charge_id: str | None = None
    charged: Money | None = None
    expires_at: datetime | None = None
    with_operator: bool = False
    refunds: Mapping[str, Refund] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Micros of the charge that are neither returned nor on their way back."""
        gone = sum(r.amount.micros for r in self.refunds.values() if r.status != NOT_RETURNED)
        return (self.charged.micros if self.charged else 0) - gone

    @property
    def refunded_numbers(self) -> frozenset[str]:
        """Numbers whose money is returned or on its way."""
        on_their_way = (r for r in self.refunds.values() if r.status != NOT_RETURNED)
        return frozenset(number for refund in on_their_way for number in refund.numbers)

    def cost_of(self, numbers: Iterable[str]) -> int:
        """Micros that these numbers cost, set-up and first month. Unknown ones: ``KeyError``."""
        costs = {n: line.terms.unit_cost.micros for line in self.lines for n in line.numbers}
        return sum(costs[number] for number in numbers)


def evolve(state: Order, event: Event) -> Order:  # One per event.
    """What happened to the order."""
    match event:
        case OrderPlaced():
            return _placed(event)
        case OrderReserved():
            return replace(state, status=RESERVED, lines=event.lines, with_operator=False)
        case OrderActionRequired():
            waiting = replace(state, status=ACTION_REQUIRED, with_operator=False)
            return replace(waiting, charge_id=event.charge_id, expires_at=event.expires_at)
        case OrderConfirmationReported() | OrderChargeCheckRequested() | OrderGivenUp():
            return state
        case OrderChargeUnknown():
            waiting = replace(state, status=CHARGE_UNKNOWN, with_operator=False)
            return replace(waiting, charge_id=event.charge_id)
        case OrderPaid():
            return _paid(state, event)
        case OrderFulfilled():
            return replace(state, status=FULFILLED, with_operator=False)
        case OrderFailed():
            return replace(state, status=FAILED, with_operator=False)
        case OrderNeedsOperator():
            return replace(state, with_operator=True)
        case RefundRequested():
            return _refund_requested(state, event)
        case OrderRefunded() | OrderRefundFailed():
            return _refund_ended(state, event)
        case _:
            assert_never(event)


def _placed(event: OrderPlaced) -> Order:
    return Order(
        status=PLACED,
        account_id=event.account_id,
        kind=event.kind,
        hold_id=event.hold_id,
        payment_method_id=event.payment_method_id,
    )


def _paid(state: Order, event: OrderPaid) -> Order:
    paid = replace(state, status=PAID, with_operator=False, charge_id=event.charge_id)
    return paid if event.charge_id is None else replace(paid, charged=event.amount)


def _refund_requested(state: Order, event: RefundRequested) -> Order:
    # The refund of a charge that came too late is the first word about its money.
    charged = state.charged or event.amount
    refund = Refund(event.amount, event.numbers, REQUESTED)
    refunds = {**state.refunds, event.refund_id: refund}
    return replace(state, refunds=refunds, charged=charged, charge_id=event.charge_id)


def _refund_ended(state: Order, event: OrderRefunded | OrderRefundFailed) -> Order:
    known = state.refunds.get(event.refund_id)
    if isinstance(event, OrderRefunded):
        refund = Refund(event.amount, known.numbers if known else (), RETURNED)
    elif known is not None:
        refund = replace(known, status=NOT_RETURNED)
    else:
        return state
    return replace(state, refunds={**state.refunds, event.refund_id: refund})

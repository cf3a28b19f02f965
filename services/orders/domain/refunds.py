"""The rules of returning an order's money: never more than was charged."""

from __future__ import annotations

from collections.abc import Sequence

from services.orders.domain.order_state import NEW, REQUESTED, RETURNED, Event, Order
from services.orders.messages import (
    FulfilOrder,
    OrderRefunded,
    OrderRefundFailed,
    RecordPaid,
    RecordRefunded,
    RecordRefundFailed,
    RefundRequested,
    RequestRefund,
)
from shared.money import Money
from shared.refusals import refusal

LATE, REFUSED = "order_failed", "number_gone"


def of_late_charge(command: RecordPaid, state: Order) -> RefundRequested:
    """The order failed before its money came: all of it goes back."""
    return RefundRequested(
        order_id=command.order_id,
        account_id=state.account_id,
        refund_id=command.refund_id,
        charge_id=command.charge_id,
        amount=command.amount,
        numbers=(),
        reason=LATE,
    )


def of_refused(command: FulfilOrder, state: Order) -> Sequence[RefundRequested]:
    """What the refused numbers cost, as far as it is not on its way back already."""
    if not command.refused or state.charged is None:
        return []
    numbers = tuple(n for n in command.refused if n not in state.refunded_numbers)
    micros = min(state.cost_of(numbers), state.left)
    if micros <= 0:
        return []
    return [
        RefundRequested(
            order_id=command.order_id,
            account_id=state.account_id,
            refund_id=command.refund_id,
            charge_id=state.charge_id or "",
            amount=Money(micros, state.charged.currency),
            numbers=numbers,
            reason=REFUSED,
        )
    ]


def request(command: RequestRefund, state: Order) -> Sequence[Event]:
    """Staff returns money: an amount, what the named numbers cost, or all that is left.

    Raises ``order_unknown``, ``order_not_refundable``, ``refund_too_large``, ``number_unknown``,
    ``mixed_currency``, ``invalid_value``.
    """
    if command.refund_id in state.refunds:
        return []
    if state.status == NEW:
        raise refusal("order_unknown")
    if state.charged is None or state.left <= 0:
        raise refusal("order_not_refundable")
    amount = Money(_wanted(command, state), state.charged.currency)
    if amount.micros > state.left:
        left = Money(state.left, amount.currency)
        detail = f"{left} {left.currency} of the charge are left."
        raise refusal("refund_too_large", detail, param="amount")
    return [_requested(command, state, amount)]


def _wanted(command: RequestRefund, state: Order) -> int:
    if command.numbers:
        return _cost_of_named(command, state)
    if command.amount is None:
        return state.left
    if state.charged is not None and command.amount.currency != state.charged.currency:
        raise refusal("mixed_currency", param="amount")
    if command.amount.micros <= 0:
        raise refusal("invalid_value", "A refund is more than nothing.", param="amount")
    return command.amount.micros


def _cost_of_named(command: RequestRefund, state: Order) -> int:
    if command.amount is not None:
        raise refusal("invalid_value", "Name an amount or numbers, not both.", param="numbers")
    if len(set(command.numbers)) < len(command.numbers):
        raise refusal("invalid_value", "A number is named twice.", param="numbers")
    if not {n for line in state.lines for n in line.numbers}.issuperset(command.numbers):
        raise refusal("number_unknown", "A number is not of this order.", param="numbers")
    if state.refunded_numbers.intersection(command.numbers):
        raise refusal("order_not_refundable", "A number is refunded already.", param="numbers")
    return state.cost_of(command.numbers)


def _requested(command: RequestRefund, state: Order, amount: Money) -> RefundRequested:
    return RefundRequested(
        order_id=command.order_id,
        account_id=state.account_id,
        refund_id=command.refund_id,
        charge_id=state.charge_id or "",
        amount=amount,
        numbers=command.numbers,
        reason=command.reason,
    )


def record(command: RecordRefunded, state: Order) -> Sequence[Event]:
    """The money is on its way; also of a refund made at the provider. More than was charged cannot
    be: ``refund_too_large``, for an operator to find."""
    known = state.refunds.get(command.refund_id)
    if state.charged is None or (known is not None and known.status == RETURNED):
        return []
    returned = [r.amount.micros for r in state.refunds.values() if r.status == RETURNED]
    if sum(returned) + command.amount.micros > state.charged.micros:
        raise refusal("refund_too_large", "More came back than was charged.")
    c = command
    return [
        OrderRefunded(
            order_id=c.order_id, account_id=state.account_id, refund_id=c.refund_id, amount=c.amount
        )
    ]


def record_failed(command: RecordRefundFailed, state: Order) -> Sequence[Event]:
    """The money stays charged, and can be asked back again."""
    known = state.refunds.get(command.refund_id)
    if known is None or known.status != REQUESTED:
        return []
    return [
        OrderRefundFailed(
            order_id=command.order_id,
            account_id=state.account_id,
            refund_id=command.refund_id,
            code=command.code,
            detail=command.detail,
        )
    ]

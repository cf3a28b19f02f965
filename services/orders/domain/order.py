"""An order, from being placed to its numbers or its failure. Placing is in ``placing.py``,
refunds are in ``refunds.py``.

Outcomes come in any order and more than once: what is settled stays settled, and a charge that
succeeds after the order failed is returned (architecture section 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from services.inventory.messages import HeldLine
from services.orders.domain import operating, placing, refunds
from services.orders.domain.order_state import (
    ACTION_REQUIRED,
    CHARGE_UNKNOWN,
    FAILED,
    NEW,
    PAID,
    PLACED,
    PURCHASE,
    RESERVED,
    Event,
    Order,
    evolve,
)
from services.orders.messages import (
    ExpireAction,
    FailOrder,
    FulfilOrder,
    GiveToOperator,
    GiveUpOrder,
    OrderActionRequired,
    OrderChargeUnknown,
    OrderConfirmationReported,
    OrderFailed,
    OrderFulfilled,
    OrderNeedsOperator,
    OrderPaid,
    OrderReserved,
    PlaceOrder,
    RecordChargeUnknown,
    RecordPaid,
    RecordRefunded,
    RecordRefundFailed,
    ReportConfirmation,
    RequestChargeCheck,
    RequestRefund,
    RequireAction,
    ReserveOrder,
)
from shared.aggregate import Aggregate
from shared.money import Money
from shared.refusals import refusal

Command = (
    PlaceOrder
    | ReserveOrder
    | RequireAction
    | ReportConfirmation
    | RecordChargeUnknown
    | RecordPaid
    | FailOrder
    | FulfilOrder
    | ExpireAction
    | GiveToOperator
    | RequestChargeCheck
    | GiveUpOrder
    | RequestRefund
    | RecordRefunded
    | RecordRefundFailed
)

_CHARGING = frozenset({RESERVED, ACTION_REQUIRED, CHARGE_UNKNOWN})
_RUNNING = _CHARGING | {PLACED}
# What an operator is called for: no answer of inventory or billing, or none about a charge.
_WAITS = {"answer": frozenset({PLACED, RESERVED, PAID}), "charge": frozenset({CHARGE_UNKNOWN})}


def reserve(command: ReserveOrder, state: Order) -> Sequence[Event]:
    """Prices what was pinned: the sum of set-up and first month. Nothing to pay is paid at once."""
    if state.status != PLACED:
        return []
    currencies = {line.terms.currency for line in command.lines}
    if len(currencies) != 1:
        code = "mixed_currency" if currencies else "number_gone"
        return [_failed(command.order_id, state, code, "")]
    amount = Money(_sum_of(command.lines), currencies.pop())
    reserved = _reserved(command, state, amount)
    return [reserved] if amount.micros else [reserved, _paid(command.order_id, state, None, amount)]


def _sum_of(lines: tuple[HeldLine, ...]) -> int:
    return sum(line.terms.unit_cost.micros * len(line.numbers) for line in lines)


def _reserved(command: ReserveOrder, state: Order, amount: Money) -> OrderReserved:
    return OrderReserved(
        order_id=command.order_id,
        account_id=state.account_id,
        hold_id=state.hold_id,
        lines=command.lines,
        missing=command.missing,
        amount=amount,
        payment_method_id=state.payment_method_id,
    )


def _paid(order_id: str, state: Order, charge_id: str | None, amount: Money) -> OrderPaid:
    return OrderPaid(
        order_id=order_id,
        account_id=state.account_id,
        hold_id=state.hold_id,
        charge_id=charge_id,
        amount=amount,
    )


def _failed(order_id: str, state: Order, code: str, detail: str) -> OrderFailed:
    return OrderFailed(
        order_id=order_id,
        account_id=state.account_id,
        hold_id=state.hold_id,
        code=code,
        detail=detail or refusal(code).detail,
    )


def require_action(command: RequireAction, state: Order) -> Sequence[Event]:
    """The bank asks; said again, the time does not begin again."""
    if state.status not in {RESERVED, CHARGE_UNKNOWN}:
        return []
    return [
        OrderActionRequired(
            order_id=command.order_id,
            account_id=state.account_id,
            charge_id=command.charge_id,
            expires_at=command.expires_at,
        )
    ]


def report_confirmation(command: ReportConfirmation, state: Order) -> Sequence[Event]:
    """Each report has billing look at the charge again: the first may have come too early. The
    provider's own report may have come first; then there is nothing new in this one.

    Raises ``order_unknown``, and ``nothing_to_confirm`` where the bank never asked.
    """
    if state.status == NEW or state.account_id != command.account_id:
        raise refusal("order_unknown")
    if state.expires_at is None or state.charge_id is None:
        raise refusal("nothing_to_confirm")
    if state.status != ACTION_REQUIRED:
        return []
    return [
        OrderConfirmationReported(
            order_id=command.order_id, account_id=state.account_id, charge_id=state.charge_id
        )
    ]


def record_unknown(command: RecordChargeUnknown, state: Order) -> Sequence[Event]:
    """Said once; an order that is settled stays so."""
    if state.status not in {RESERVED, ACTION_REQUIRED}:
        return []
    return [
        OrderChargeUnknown(
            order_id=command.order_id, account_id=state.account_id, charge_id=command.charge_id
        )
    ]


def record_paid(command: RecordPaid, state: Order) -> Sequence[Event]:
    """The order is paid; if it has failed meanwhile, the whole amount goes back, once."""
    if state.status in _CHARGING:
        return [_paid(command.order_id, state, command.charge_id, command.amount)]
    if state.status == FAILED and state.charged is None:
        return [refunds.of_late_charge(command, state)]
    return []


def fail(command: FailOrder, state: Order) -> Sequence[Event]:
    """Ends an order that is not paid. A failure reported after the success is passed over."""
    if state.status not in _RUNNING:
        return []
    return [_failed(command.order_id, state, command.code, command.detail)]


def fulfil(command: FulfilOrder, state: Order) -> Sequence[Event]:
    """Ends a paid order with its numbers; those refused are refunded. Without any it has failed."""
    if state.status != PAID:
        return []
    refund = refunds.of_refused(command, state)
    if not command.numbers:
        return [_failed(command.order_id, state, "number_gone", ""), *refund]
    return [_fulfilled(command, state), *refund]


def _fulfilled(command: FulfilOrder, state: Order) -> OrderFulfilled:
    return OrderFulfilled(
        order_id=command.order_id,
        account_id=state.account_id,
        numbers=command.numbers,
        refused=command.refused,
    )


def expire_action(command: ExpireAction, state: Order) -> Sequence[Event]:
    """The customer did not confirm in time: ``expires_at`` against the command's ``now``."""
    if state.status != ACTION_REQUIRED or state.expires_at is None:
        return []
    if command.now < state.expires_at:
        return []
    return [_failed(command.order_id, state, "authentication_required", "")]


def give_to_operator(command: GiveToOperator, state: Order) -> Sequence[Event]:
    """A person has to look, unless the answer has come. Free orders may wait for stock."""
    waits = state.status in _WAITS[command.waited_for] and state.kind == PURCHASE
    if not waits or state.with_operator:
        return []
    reason = f"no_{command.waited_for}"
    return [
        OrderNeedsOperator(order_id=command.order_id, account_id=state.account_id, reason=reason)
    ]


def decide(command: Command, state: Order) -> Sequence[Event]:  # One per command.
    """Which rule a command meets."""
    match command:
        case PlaceOrder():
            return placing.place(command, state)
        case ReserveOrder():
            return reserve(command, state)
        case RequireAction():
            return require_action(command, state)
        case ReportConfirmation():
            return report_confirmation(command, state)
        case RecordChargeUnknown():
            return record_unknown(command, state)
        case RecordPaid():
            return record_paid(command, state)
        case FailOrder():
            return fail(command, state)
        case FulfilOrder():
            return fulfil(command, state)
        case ExpireAction():
            return expire_action(command, state)
        case GiveToOperator():
            return give_to_operator(command, state)
        case RequestChargeCheck():
            return operating.check_charge(command, state)
        case GiveUpOrder():
            return operating.give_up(command, state)
        case RequestRefund():
            return refunds.request(command, state)
        case RecordRefunded():
            return refunds.record(command, state)
        case RecordRefundFailed():
            return refunds.record_failed(command, state)
        case _:
            assert_never(command)


AGGREGATE = Aggregate(
    category="order",
    commands=(
        PlaceOrder,
        ReserveOrder,
        RequireAction,
        ReportConfirmation,
        RecordChargeUnknown,
        RecordPaid,
        FailOrder,
        FulfilOrder,
        ExpireAction,
        GiveToOperator,
        RequestChargeCheck,
        GiveUpOrder,
        RequestRefund,
        RecordRefunded,
        RecordRefundFailed,
    ),
    initial=Order(),
    key=lambda command: command.order_id,
    evolve=evolve,
    decide=decide,
    begins=(PlaceOrder,),
)

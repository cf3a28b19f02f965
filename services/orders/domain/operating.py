"""What staff may do with an order that waits for a person."""

from __future__ import annotations

from collections.abc import Sequence

from services.orders.domain.order_state import NEW, PAID, PLACED, Event, Order
from services.orders.messages import (
    GiveUpOrder,
    OrderChargeCheckRequested,
    OrderFailed,
    OrderGivenUp,
    RequestChargeCheck,
)
from shared.refusals import refusal

_LONGEST = 500
CODE = "ended_by_staff"


def check_charge(command: RequestChargeCheck, state: Order) -> Sequence[Event]:
    """Has the provider asked again. What it says settles the order as always.

    Raises ``order_unknown``, ``order_not_with_operator``, ``charge_unknown``, ``missing_field``.
    """
    _check(command, state)
    if state.status == PLACED:
        raise refusal("charge_unknown", "Nothing has been charged: the numbers are waited for.")
    return [
        OrderChargeCheckRequested(
            order_id=command.order_id, account_id=state.account_id, reason=command.reason.strip()
        )
    ]


def give_up(command: GiveUpOrder, state: Order) -> Sequence[Event]:
    """Ends the order. Safe while it is not paid: billing then cancels the charge at the provider,
    and one that goes through all the same is returned. A paid order is refunded instead.

    Raises ``order_unknown``, ``order_not_with_operator``, ``order_paid``, ``missing_field``.
    """
    _check(command, state)
    if state.status == PAID:
        raise refusal("order_paid")
    given_up = OrderGivenUp(
        order_id=command.order_id, account_id=state.account_id, reason=command.reason.strip()
    )
    return [given_up, _failed(command, state)]


def _check(command: RequestChargeCheck | GiveUpOrder, state: Order) -> None:
    if state.status == NEW:
        raise refusal("order_unknown")
    if not state.with_operator:
        raise refusal("order_not_with_operator")
    if not 0 < len(command.reason.strip()) <= _LONGEST:
        detail = f"Say why, in at most {_LONGEST} characters."
        raise refusal("missing_field", detail, param="reason")


def _failed(command: GiveUpOrder, state: Order) -> OrderFailed:
    return OrderFailed(
        order_id=command.order_id,
        account_id=state.account_id,
        hold_id=state.hold_id,
        code=CODE,
        detail=refusal(CODE).detail,
    )

"""What billing does when orders says something. Pure. It needs no timers: what waits for an answer
is given up by its order, or lies with the effects until the provider has answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.billing.messages import ChargeOrder, CheckCharge, RefundCharge
from services.orders.messages import (
    OrderConfirmationReported,
    OrderFailed,
    OrderReserved,
    RefundRequested,
)
from shared.happened import Happened
from shared.ids import command_id, derived_id
from shared.spec import Policy


def charge_id_of(order_id: str) -> str:
    """The one charge of an order: the same id on every machine, whatever was lost."""
    return derived_id("chg", command_id("charge", order_id))


def react(event: Happened) -> Sequence[Any]:
    """Commands in answer to an event; architecture section 8 is the table."""
    match event.message:
        case OrderReserved() as e if e.amount.micros > 0:
            return [
                ChargeOrder(
                    order_id=e.order_id,
                    account_id=e.account_id,
                    amount=e.amount,
                    payment_method_id=e.payment_method_id,
                )
            ]
        case OrderConfirmationReported() as e:
            return [CheckCharge(charge_id=e.charge_id, give_up=False)]
        case OrderFailed() as e:
            return [CheckCharge(charge_id=charge_id_of(e.order_id), give_up=True)]
        case RefundRequested() as e:
            return [RefundCharge(charge_id=e.charge_id, refund_id=e.refund_id, amount=e.amount)]
        case _:
            return []


POLICY = Policy(
    events=(OrderReserved, OrderConfirmationReported, OrderFailed, RefundRequested),
    react=react,
)

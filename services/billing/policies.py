"""What billing does when orders, or a payment of what is owed, says something. Pure.

An order's charge needs no timer: what waits for an answer is given up by its order, or lies with
the effects until the provider has answered. A payment of what is owed has no order that gives it up
when the customer does not confirm it: it has a timer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.billing.messages import (
    ChargeActionRequired,
    ChargeFailed,
    ChargeOrder,
    ChargeSucceeded,
    CheckCharge,
    CloseOwedPayment,
    CollectOwed,
    OwedPaymentRequested,
    RefundCharge,
)
from services.orders.messages import (
    OrderChargeCheckRequested,
    OrderConfirmationReported,
    OrderFailed,
    OrderReserved,
    RefundRequested,
)
from shared.happened import Happened
from shared.ids import command_id, derived_id
from shared.spec import ClearTimer, Policy, SetTimer, Timers

ACTION_TIME = timedelta(minutes=15)  # As an order's: architecture section 8.
ACTION = "owed_payment_action"


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
        case OrderChargeCheckRequested() as e:
            return [CheckCharge(charge_id=charge_id_of(e.order_id), give_up=False)]
        case OrderFailed() as e:
            return [CheckCharge(charge_id=charge_id_of(e.order_id), give_up=True)]
        case RefundRequested() as e:
            return [RefundCharge(charge_id=e.charge_id, refund_id=e.refund_id, amount=e.amount)]
        case OwedPaymentRequested() as e:
            return [CollectOwed(charge_id=e.charge_id)]
        case ChargeSucceeded(order_id="") | ChargeFailed(order_id="") as e:
            return [CloseOwedPayment(charge_id=e.charge_id)]
        case _:
            return []


POLICY = Policy(
    events=(
        OrderReserved,
        OrderConfirmationReported,
        OrderChargeCheckRequested,
        OrderFailed,
        RefundRequested,
        OwedPaymentRequested,
        ChargeSucceeded,
        ChargeFailed,
    ),
    react=react,
)


def timers_of(event: Happened) -> Iterable[SetTimer | ClearTimer]:
    """How long the bank's step of a payment of what is owed may take."""
    match event.message:
        case ChargeActionRequired(order_id="") as e:
            yield SetTimer(ACTION, e.charge_id, event.at + ACTION_TIME)
        case ChargeSucceeded(order_id="") | ChargeFailed(order_id="") as e:
            yield ClearTimer(ACTION, e.charge_id)


def fire(_name: str, key: str, _due: datetime) -> CheckCharge:
    """Nobody confirmed it: it is cancelled at the provider, unless it was paid."""
    return CheckCharge(charge_id=key, give_up=True)


TIMERS = Timers(
    events=(ChargeActionRequired, ChargeSucceeded, ChargeFailed), of=timers_of, fire=fire
)

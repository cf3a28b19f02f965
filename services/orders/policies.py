"""What orders does when inventory or billing says something, and what it waits for. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.billing.messages import (
    AccountOpened,
    ChargeActionRequired,
    ChargeDeferred,
    ChargeFailed,
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeSucceeded,
    ChargeUnknown,
)
from services.inventory.messages import HoldAllocated, HoldPinned, HoldRefused, Item
from services.orders.domain.order_state import FREE
from services.orders.messages import (
    CompleteOrder,
    ExpireAction,
    FailOrder,
    GiveToOperator,
    OrderActionRequired,
    OrderChargeUnknown,
    OrderFailed,
    OrderFulfilled,
    OrderPaid,
    OrderPlaced,
    OrderReserved,
    PlaceOrder,
    RecordChargeUnknown,
    RecordPaid,
    RecordRefunded,
    RecordRefundFailed,
    RequireAction,
    ReserveOrder,
)
from shared.happened import Happened
from shared.ids import command_id, derived_id
from shared.spec import ClearTimer, Policy, SetTimer, Timers

# Architecture section 8: how long the bank's step and an answer may take.
ACTION_TIME = timedelta(minutes=15)
ANSWER_TIME = timedelta(minutes=15)
CHARGE_TIME = timedelta(hours=24)


def react(event: Happened) -> Sequence[Any]:
    """Commands in answer to an event; architecture section 8 is the table."""
    match event.message:
        case AccountOpened() as e:
            return [free_number(e.account_id, e.country)]
        case HoldPinned() as e:
            return [ReserveOrder(order_id=e.order_id, lines=e.lines, missing=e.missing)]
        case HoldRefused() as e:
            return [FailOrder(order_id=e.order_id, code=e.code, detail=e.detail)]
        case HoldAllocated() as e:
            return [CompleteOrder(order_id=e.order_id, numbers=e.numbers, refused=e.refused)]
        case _:
            return _react_to_charge(event)


def _react_to_charge(event: Happened) -> Sequence[Any]:  # One per event.
    if getattr(event.message, "order_id", "") == "":
        return []  # A payment of what is owed is no order's.
    match event.message:
        case ChargeSucceeded() | ChargeDeferred() as e:
            return [_paid(event, e)]
        case ChargeFailed() as e:
            return [FailOrder(order_id=e.order_id, code=e.code, detail=e.detail)]
        case ChargeActionRequired() as e:
            return [_action(e, event.at)]
        case ChargeUnknown() as e:
            return [RecordChargeUnknown(order_id=e.order_id, charge_id=e.charge_id)]
        case ChargeRefunded() as e:
            return [_refunded(e)]
        case ChargeRefundFailed() as e:
            return [_refund_failed(e)]
        case _:
            return []


def free_number(account_id: str, country: str) -> PlaceOrder:
    """The order of the account's free number: the same id for ever, so once per account."""
    order_id = derived_id("ord", command_id("free number", account_id))
    return PlaceOrder(
        order_id=order_id,
        account_id=account_id,
        kind=FREE,
        hold_id=order_id,
        items=(Item(free_in=country),),
        strategy="all_or_nothing",
        payment_method_id=None,
        usage=None,
        end_user=None,
        document_ids=(),
    )


def _paid(event: Happened, e: ChargeSucceeded | ChargeDeferred) -> RecordPaid:
    # The refund is for the case that the order failed before its money came.
    refund_id = derived_id("ref", uuid.UUID(bytes=event.stored.event_id))
    return RecordPaid(
        order_id=e.order_id, charge_id=e.charge_id, amount=e.amount, refund_id=refund_id
    )


def _action(e: ChargeActionRequired, at: datetime) -> RequireAction:
    return RequireAction(order_id=e.order_id, charge_id=e.charge_id, expires_at=at + ACTION_TIME)


def _refunded(e: ChargeRefunded) -> RecordRefunded:
    return RecordRefunded(order_id=e.order_id, refund_id=e.refund_id, amount=e.amount)


def _refund_failed(e: ChargeRefundFailed) -> RecordRefundFailed:
    return RecordRefundFailed(
        order_id=e.order_id, refund_id=e.refund_id, code=e.code, detail=e.detail
    )


POLICY = Policy(
    events=(
        AccountOpened,
        HoldPinned,
        HoldRefused,
        HoldAllocated,
        ChargeSucceeded,
        ChargeDeferred,
        ChargeFailed,
        ChargeActionRequired,
        ChargeUnknown,
        ChargeRefunded,
        ChargeRefundFailed,
    ),
    react=react,
)

ANSWER, ACTION, CHARGE = "order_answer", "order_action", "order_charge"


def timers_of(event: Happened) -> Iterable[SetTimer | ClearTimer]:
    """What an order waits for. Each answer begins the next wait; the free order waits for stock as
    long as it takes."""
    match event.message:
        case OrderPlaced() as e if e.kind != FREE:
            yield SetTimer(ANSWER, e.order_id, event.at + ANSWER_TIME)
        case OrderReserved() as e if e.amount.micros:
            yield SetTimer(ANSWER, e.order_id, event.at + ANSWER_TIME)
        case OrderActionRequired() as e:
            yield SetTimer(ACTION, e.order_id, e.expires_at)
            yield from _cleared(e.order_id, ANSWER, CHARGE)
        case OrderChargeUnknown() as e:
            yield SetTimer(CHARGE, e.order_id, event.at + CHARGE_TIME)
            yield from _cleared(e.order_id, ANSWER, ACTION)
        case OrderPaid() as e if e.charge_id is not None:
            yield SetTimer(ANSWER, e.order_id, event.at + ANSWER_TIME)
            yield from _cleared(e.order_id, ACTION, CHARGE)
        case OrderPaid() | OrderFulfilled() | OrderFailed() as e:
            yield from _cleared(e.order_id, ANSWER, ACTION, CHARGE)


def _cleared(order_id: str, *names: str) -> Iterable[ClearTimer]:
    return (ClearTimer(name, order_id) for name in names)


def fire(name: str, key: str, due: datetime) -> Any:
    """The command that a due instant becomes."""
    if name == ACTION:
        return ExpireAction(order_id=key, now=due)
    return GiveToOperator(order_id=key, waited_for="charge" if name == CHARGE else "answer")


TIMERS = Timers(
    events=(
        OrderPlaced,
        OrderReserved,
        OrderActionRequired,
        OrderChargeUnknown,
        OrderPaid,
        OrderFulfilled,
        OrderFailed,
    ),
    of=timers_of,
    fire=fire,
)

"""What inventory does when others, or its own holds, say something. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.inventory.messages import (
    AllocateHold,
    ConfirmHeld,
    EndPinnedHold,
    ExpireHold,
    FillAwaiting,
    FillHold,
    HoldAsked,
    HoldAwaitsStock,
    HoldExtended,
    HoldPinned,
    HoldRefused,
    HoldReleased,
    NumberBlockStocked,
    NumberHeld,
    NumberQuarantined,
    NumberReleased,
    NumberReturnedToStock,
    NumbersHeld,
    PinHold,
    ReleaseNumber,
    ReleaseStrays,
    ReturnNumber,
)
from services.orders.messages import OrderFailed, OrderPaid, OrderPlaced
from shared.happened import Happened
from shared.spec import ClearTimer, Policy, SetTimer, Timers

_WITHOUT_END = timedelta(days=3650)  # An order's hold ends with its order.


def react(event: Happened) -> Sequence[Any]:
    """Commands in answer to an event; architecture section 8 is the table."""
    match event.message:
        case OrderPlaced() as e:
            return [_wanted(e, event.at)]
        case OrderPaid() as e:
            return [AllocateHold(hold_id=e.hold_id, order_id=e.order_id)]
        case OrderFailed() as e:
            return [EndPinnedHold(hold_id=e.hold_id, order_id=e.order_id)]
        case HoldReleased() as e:
            return [ReleaseNumber(number=n, hold_id=e.hold_id) for n in e.numbers]
        case NumberHeld() as e:
            return [ConfirmHeld(hold_id=e.hold_id, number=e.number)]
        case NumbersHeld() | HoldRefused() as e:
            return [ReleaseStrays(hold_id=e.hold_id)]
        case _:
            return _serve_waiting(event)


def _serve_waiting(event: Happened) -> Sequence[Any]:
    # An account's free number is geographic; what comes back may be in any country.
    match event.message:
        case NumberBlockStocked() as e if e.place.type == "geographic":
            return [FillAwaiting(country=e.place.country, after=event.position)]
        case HoldAwaitsStock() as e:
            again = FillAwaiting(country=e.country, after=event.position)
            return [ReleaseStrays(hold_id=e.hold_id), again]
        case NumberReleased() | NumberReturnedToStock():
            return [FillAwaiting(country="", after=event.position)]
        case _:
            return []


def _wanted(e: OrderPlaced, at: datetime) -> PinHold | FillHold:
    if not e.items:
        return PinHold(
            hold_id=e.hold_id,
            account_id=e.account_id,
            order_id=e.order_id,
            strategy=e.strategy,
            now=at,
        )
    return FillHold(
        hold_id=e.hold_id,
        account_id=e.account_id,
        order_id=e.order_id,
        items=e.items,
        strategy=e.strategy,
        until=at + _WITHOUT_END,
    )


POLICY = Policy(
    events=(
        OrderPlaced,
        OrderPaid,
        OrderFailed,
        HoldReleased,
        NumberHeld,
        NumbersHeld,
        HoldRefused,
        NumberBlockStocked,
        HoldAwaitsStock,
        NumberReleased,
        NumberReturnedToStock,
    ),
    react=react,
)

EXPIRY, REST = "hold_expiry", "quarantine_end"


def timers_of(event: Happened) -> Iterable[SetTimer | ClearTimer]:
    """When holds expire and quarantines end."""
    match event.message:
        case HoldAsked() as e if e.order_id is None:
            yield SetTimer(EXPIRY, e.hold_id, e.until)
        case HoldExtended() as e:
            yield SetTimer(EXPIRY, e.hold_id, e.until)
        case HoldPinned() | HoldReleased() as e:
            yield ClearTimer(EXPIRY, e.hold_id)
        case NumberQuarantined() as e:
            yield SetTimer(REST, e.number, e.until)
        case NumberReturnedToStock() as e:
            yield ClearTimer(REST, e.number)


def fire(name: str, key: str, due: datetime) -> Any:
    """The command that a due instant becomes."""
    if name == EXPIRY:
        return ExpireHold(hold_id=key, now=due)
    return ReturnNumber(number=key, now=due)


TIMERS = Timers(
    events=(
        HoldAsked,
        HoldExtended,
        HoldPinned,
        HoldReleased,
        NumberQuarantined,
        NumberReturnedToStock,
    ),
    of=timers_of,
    fire=fire,
)

"""A hold: inventory's process manager. It answers once for all its numbers.

asked → held → (pinned → allocated) | ended. Expiry is decided here and nowhere else, by ``until``
against the command's ``now``; a pinned hold has no expiry and ends only with its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from services.inventory.messages import (
    AskHold,
    AwaitStock,
    EndPinnedHold,
    ExpireHold,
    ExtendHold,
    HeldLine,
    HoldAllocated,
    HoldAsked,
    HoldAwaitsStock,
    HoldExtended,
    HoldPinned,
    HoldRefused,
    HoldReleased,
    HoldTriedMore,
    Item,
    Missing,
    NumbersHeld,
    PinHold,
    RecordAllocated,
    RecordHeld,
    ReleaseHold,
    TryMore,
)
from shared.aggregate import Aggregate
from shared.refusals import refusal

Command = (
    AskHold
    | TryMore
    | RecordHeld
    | AwaitStock
    | ExtendHold
    | PinHold
    | ReleaseHold
    | ExpireHold
    | EndPinnedHold
    | RecordAllocated
)
Event = (
    HoldAsked
    | HoldTriedMore
    | NumbersHeld
    | HoldAwaitsStock
    | HoldExtended
    | HoldPinned
    | HoldRefused
    | HoldReleased
    | HoldAllocated
)

NEW, ASKED, WAITING, HELD, PINNED, ALLOCATED, ENDED = (
    "new",
    "asked",
    "waiting",
    "held",
    "pinned",
    "allocated",
    "ended",
)
LONGEST_EXTENSION = timedelta(minutes=50)  # An hour in all with the usual ten minutes.
MOST_PER_ITEM = 10


@dataclass(frozen=True, slots=True)
class Hold:
    """How far the hold is, and what it has."""

    status: str = NEW
    account_id: str = ""
    order_id: str | None = None
    strategy: str = ""
    items: tuple[Item, ...] = ()
    tried: tuple[str, ...] = ()
    lines: tuple[HeldLine, ...] = ()
    missing: tuple[Missing, ...] = ()
    until: datetime = datetime.max
    first_until: datetime = datetime.max
    ended_because: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """What it has got, in order."""
        return tuple(number for line in self.lines for number in line.numbers)


def ask(command: AskHold, state: Hold) -> Sequence[Event]:
    """Opens the hold, once. A quantity is from 1 to 10 per item."""
    if state.status not in {NEW, WAITING}:
        return []
    if not command.items:
        raise refusal("items_invalid", "There is nothing to hold.", param="items")
    if any(not 1 <= item.quantity <= MOST_PER_ITEM for item in command.items):
        raise refusal("quantity_invalid", param="items")
    return [_asked(command)]


def _asked(c: AskHold) -> HoldAsked:
    return HoldAsked(
        hold_id=c.hold_id,
        account_id=c.account_id,
        items=c.items,
        tried=c.tried,
        until=c.until,
        order_id=c.order_id,
        strategy=c.strategy,
    )


def try_more(command: TryMore, state: Hold) -> Sequence[Event]:
    """Names more numbers while the hold is being filled."""
    if state.status != ASKED:
        raise refusal("quote_expired", "The hold ended while it was being filled.")
    return [
        HoldTriedMore(
            hold_id=command.hold_id, account_id=state.account_id, numbers=command.numbers
        )
    ]


def record(command: RecordHeld, state: Hold) -> Sequence[Event]:
    """The hold is filled: held; pinned at once if it was asked for an order; given back if it must
    be whole and is not."""
    if state.status != ASKED:
        return []
    if _too_little(command, state):
        return [*_unfilled(command, state), *_given_back(command, state)]
    held = _held(command, state)
    if state.order_id is None:
        return [held]
    filled = replace(state, lines=command.lines, missing=command.missing)
    return [held, _pinned(command.hold_id, state.order_id, filled)]


def _too_little(command: RecordHeld, state: Hold) -> bool:
    return not command.lines or bool(command.missing and state.strategy != "best_effort")


def _held(command: RecordHeld, state: Hold) -> NumbersHeld:
    return NumbersHeld(
        hold_id=command.hold_id,
        account_id=state.account_id,
        lines=command.lines,
        missing=command.missing,
        until=state.until,
    )


def _unfilled(command: RecordHeld, state: Hold) -> Sequence[Event]:
    if state.order_id is None:
        return [_held(command, state)]
    code = command.missing[0].code if command.missing else "number_gone"
    return [_refused(command.hold_id, state.account_id, state.order_id, code)]


def _given_back(command: RecordHeld, state: Hold) -> Sequence[Event]:
    numbers = tuple(n for line in command.lines for n in line.numbers)
    return [_released(command.hold_id, state, numbers, "refused")]


def _refused(hold_id: str, account_id: str, order_id: str, code: str) -> HoldRefused:
    detail = str(refusal(code).detail)
    return HoldRefused(
        hold_id=hold_id, account_id=account_id, order_id=order_id, code=code, detail=detail
    )


def _released(hold_id: str, state: Hold, numbers: tuple[str, ...], reason: str) -> HoldReleased:
    return HoldReleased(
        hold_id=hold_id,
        account_id=state.account_id,
        numbers=numbers,
        reason=reason,
        order_id=state.order_id,
    )


def _pinned(hold_id: str, order_id: str, state: Hold) -> HoldPinned:
    return HoldPinned(
        hold_id=hold_id,
        account_id=state.account_id,
        order_id=order_id,
        lines=state.lines,
        missing=state.missing,
    )


def await_stock(command: AwaitStock, state: Hold) -> Sequence[Event]:
    """Only a hold that has tried nothing can wait, and it says so once."""
    if state.status != ASKED or state.tried:
        return []
    return [
        HoldAwaitsStock(
            hold_id=command.hold_id, account_id=state.account_id, country=command.country
        )
    ]


def extend(command: ExtendHold, state: Hold) -> Sequence[Event]:
    """Later, but not for ever: an hour in all."""
    _check_open(command.account_id, command.now, state)
    until = min(command.until, state.first_until + LONGEST_EXTENSION)
    if until <= state.until:
        return []
    return [HoldExtended(hold_id=command.hold_id, account_id=state.account_id, until=until)]


def _check_open(account_id: str, now: datetime, state: Hold) -> None:
    if code := _why_closed(account_id, now, state):
        raise refusal(code)


def _why_closed(account_id: str, now: datetime, state: Hold) -> str:
    if state.status == NEW or state.account_id != account_id:
        return "quote_unknown"
    if state.status in {PINNED, ALLOCATED}:
        return "quote_used"
    return "quote_expired" if state.status == ENDED or now >= state.until else ""


def pin(command: PinHold, state: Hold) -> Sequence[Event]:
    """Ties the hold to one order; every other order is refused, in an event."""
    if state.order_id == command.order_id and state.status in {PINNED, ALLOCATED}:
        return []
    code = _why_not(command, state)
    if code:
        return [_refused(command.hold_id, command.account_id, command.order_id, code)]
    return [_pinned(command.hold_id, command.order_id, state)]


def _why_not(command: PinHold, state: Hold) -> str:
    if code := _why_closed(command.account_id, command.now, state):
        return code
    if state.status != HELD:
        return "quote_unknown"
    return "number_gone" if state.missing and command.strategy != "best_effort" else ""


def release(command: ReleaseHold, state: Hold) -> Sequence[Event]:
    """At the account's wish, unless an order has it."""
    if state.status == NEW or state.account_id != command.account_id:
        raise refusal("quote_unknown")
    if state.status in {PINNED, ALLOCATED}:
        raise refusal("quote_used")
    if state.status == ENDED:
        return []
    return [_released(command.hold_id, state, _may_have(state), "released")]


def _may_have(state: Hold) -> tuple[str, ...]:
    # While it is being filled, every number it went for may be its own.
    return state.numbers if state.status != ASKED else state.tried


def expire(command: ExpireHold, state: Hold) -> Sequence[Event]:
    """When its time is over and no order has it."""
    running = state.status in {ASKED, HELD} and state.order_id is None
    if not running or command.now < state.until:
        return []
    return [_released(command.hold_id, state, _may_have(state), "expired")]


def end_pinned(command: EndPinnedHold, state: Hold) -> Sequence[Event]:
    """The order failed: everything goes back, once."""
    running = state.status in {ASKED, WAITING, PINNED}
    if not running or state.order_id != command.order_id:
        return []
    return [_released(command.hold_id, state, _may_have(state), "order_failed")]


def record_allocated(command: RecordAllocated, state: Hold) -> Sequence[Event]:
    """Says once which numbers the order got."""
    if state.status != PINNED or state.order_id != command.order_id:
        return []
    return [
        HoldAllocated(
            hold_id=command.hold_id,
            account_id=state.account_id,
            order_id=command.order_id,
            numbers=command.numbers,
            refused=command.refused,
        )
    ]


def decide(command: Command, state: Hold) -> Sequence[Event]:  # noqa: PLR0911  # One per command.
    """Which rule a command meets."""
    match command:
        case AskHold():
            return ask(command, state)
        case TryMore():
            return try_more(command, state)
        case RecordHeld():
            return record(command, state)
        case AwaitStock():
            return await_stock(command, state)
        case ExtendHold():
            return extend(command, state)
        case PinHold():
            return pin(command, state)
        case ReleaseHold():
            return release(command, state)
        case ExpireHold():
            return expire(command, state)
        case EndPinnedHold():
            return end_pinned(command, state)
        case RecordAllocated():
            return record_allocated(command, state)
        case _:
            assert_never(command)


def evolve(state: Hold, event: Event) -> Hold:  # noqa: PLR0911  # One per event.
    """What happened to the hold."""
    match event:
        case HoldAsked():
            return _opened(event)
        case HoldTriedMore():
            return replace(state, tried=(*state.tried, *event.numbers))
        case NumbersHeld():
            return replace(state, status=HELD, lines=event.lines, missing=event.missing)
        case HoldAwaitsStock():
            return replace(state, status=WAITING)
        case HoldExtended():
            return replace(state, until=event.until)
        case HoldPinned():
            return replace(state, status=PINNED, order_id=event.order_id)
        case HoldRefused():
            return state
        case HoldReleased():
            return replace(state, status=ENDED, ended_because=event.reason)
        case HoldAllocated():
            return replace(state, status=ALLOCATED)
        case _:
            assert_never(event)


def _opened(event: HoldAsked) -> Hold:
    return Hold(
        status=ASKED,
        account_id=event.account_id,
        order_id=event.order_id,
        strategy=event.strategy,
        items=event.items,
        tried=event.tried,
        until=event.until,
        first_until=event.until,
    )


AGGREGATE = Aggregate(
    category="hold",
    commands=(
        AskHold,
        TryMore,
        RecordHeld,
        AwaitStock,
        ExtendHold,
        PinHold,
        ReleaseHold,
        ExpireHold,
        EndPinnedHold,
        RecordAllocated,
    ),
    initial=Hold(),
    key=lambda command: command.hold_id,
    evolve=evolve,
    decide=decide,
)

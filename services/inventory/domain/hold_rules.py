"""The rules of a hold: one function per command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.inventory.domain.hold_state import (
    ALLOCATED,
    ASKED,
    ENDED,
    HELD,
    NEW,
    PINNED,
    WAITING,
    Event,
    Hold,
)
from services.inventory.messages import (
    AskHold,
    AwaitStock,
    EndPinnedHold,
    ExpireHold,
    ExtendHold,
    HoldAllocated,
    HoldAsked,
    HoldAwaitsStock,
    HoldExtended,
    HoldPinned,
    HoldRefused,
    HoldReleased,
    HoldTriedMore,
    Item,
    NumbersHeld,
    PinHold,
    RecordAllocated,
    RecordHeld,
    ReleaseHold,
    TryMore,
)
from shared.errors import Refusal
from shared.refusals import refusal

LONGEST_EXTENSION = timedelta(minutes=50)  # An hour in all with the usual ten minutes.
MOST_PER_ITEM = 10


def check_items(items: Sequence[Item]) -> None:
    """What can be wished for. Raises ``items_invalid`` for nothing at all and for a number named
    twice, ``quantity_invalid`` for less than 1 or more than 10 of an item."""
    if not items:
        raise refusal("items_invalid", "There is nothing to hold.", param="items")
    if any(not 1 <= item.quantity <= MOST_PER_ITEM for item in items):
        raise refusal("quantity_invalid", param="items")
    twice = [n for n, times in Counter(item.number for item in items).items() if n and times > 1]
    if twice:
        raise refusal("items_invalid", f"{twice[0]} is named twice.", param="items")


def ask(command: AskHold, state: Hold) -> Sequence[Event]:
    """Opens the hold, once. A quote's wish that cannot be is refused to the caller; an order's is
    refused in an event, because nobody waits for an answer."""
    if state.status not in {NEW, WAITING}:
        return []
    try:
        check_items(command.items)
    except Refusal as error:
        if command.order_id is None:
            raise
        c = command
        return [_refused(c.hold_id, c.account_id, command.order_id, error.code)]
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
        HoldTriedMore(hold_id=command.hold_id, account_id=state.account_id, numbers=command.numbers)
    ]


def record(command: RecordHeld, state: Hold) -> Sequence[Event]:
    """The hold is filled: held; pinned at once if it was asked for an order; given back if it must
    be whole and is not."""
    if state.status != ASKED:
        return []
    if _too_little(command, state):
        return [_unfilled(command, state), _given_back(command, state)]
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


def _unfilled(command: RecordHeld, state: Hold) -> Event:
    if state.order_id is None:
        return _held(command, state)
    code = command.missing[0].code if command.missing else "number_gone"
    return _refused(command.hold_id, state.account_id, state.order_id, code)


def _given_back(command: RecordHeld, state: Hold) -> Event:
    numbers = tuple(number for line in command.lines for number in line.numbers)
    return _released(command.hold_id, state, numbers, "refused")


def _refused(hold_id: str, account_id: str, order_id: str, code: str) -> HoldRefused:
    detail = refusal(code).detail
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
    """Only a hold for a free number can wait, and it says so each time it was tried in vain."""
    free = any(item.free_in is not None for item in state.items)
    if state.status != ASKED or not free:
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
    if _of_an_order(state):
        return "quote_used"
    return "quote_expired" if state.status == ENDED or now >= state.until else ""


def _of_an_order(state: Hold) -> bool:
    # Also while it is being filled for one: it ends only with its order.
    return state.order_id is not None and state.status != ENDED


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
    if _of_an_order(state):
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

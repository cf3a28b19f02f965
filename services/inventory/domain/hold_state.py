"""The state of a hold and how its events fold into it. No rules here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import assert_never

from services.inventory.messages import (
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

NEW = "new"
ASKED = "asked"  # Being filled.
WAITING = "waiting"  # A free number, until there is stock.
HELD = "held"
PINNED = "pinned"
ALLOCATED = "allocated"
ENDED = "ended"

_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hold:
    """How far the hold is, and what it has. ``tried`` are all numbers it ever went for."""

    status: str = NEW
    account_id: str = ""
    order_id: str | None = None
    strategy: str = ""
    items: tuple[Item, ...] = ()
    tried: tuple[str, ...] = ()
    lines: tuple[HeldLine, ...] = ()
    missing: tuple[Missing, ...] = ()
    until: datetime = _EVER
    first_until: datetime = _EVER
    ended_because: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """What it has got, in order."""
        return tuple(number for line in self.lines for number in line.numbers)

    @property
    def strays(self) -> tuple[str, ...]:
        """What it went for and is not its own. Empty while it is being filled: nobody knows."""
        if self.status in {NEW, ASKED}:
            return ()
        mine = set() if self.status == ENDED else set(self.numbers)
        return tuple(number for number in self.tried if number not in mine)


def evolve(state: Hold, event: Event) -> Hold:
    """What happened to the hold."""
    match event:
        case HoldAsked():
            return _opened(state, event)
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


def _opened(state: Hold, event: HoldAsked) -> Hold:
    # A hold that waited for stock is asked again; what it went for before is not forgotten.
    return Hold(
        status=ASKED,
        account_id=event.account_id,
        order_id=event.order_id,
        strategy=event.strategy,
        items=event.items,
        tried=(*state.tried, *event.tried),
        until=event.until,
        first_until=event.until,
    )

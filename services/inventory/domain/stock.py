"""One number of the stock, born with its first hold: available → held → allocated → quarantined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from services.inventory.messages import (
    AllocateNumber,
    HoldNumber,
    NumberAllocated,
    NumberHeld,
    NumberQuarantined,
    NumberReleased,
    NumberReturnedToStock,
    QuarantineNumber,
    ReleaseNumber,
    ReturnNumber,
)
from shared.aggregate import Aggregate
from shared.refusals import refusal

Command = HoldNumber | ReleaseNumber | AllocateNumber | QuarantineNumber | ReturnNumber
Event = NumberHeld | NumberReleased | NumberAllocated | NumberQuarantined | NumberReturnedToStock

AVAILABLE, HELD, ALLOCATED, QUARANTINED = "available", "held", "allocated", "quarantined"


@dataclass(frozen=True, slots=True)
class Stock:
    """Who has the number now."""

    status: str = AVAILABLE
    hold_id: str = ""
    num_id: str = ""
    until: datetime | None = None


def hold(command: HoldNumber, state: Stock) -> Sequence[Event]:
    """The first hold gets the number; for the same hold it is already so."""
    if not (command.block_id and command.offer_id):
        raise refusal(
            "offer_changed", "A number is held at the terms of its block, which are missing."
        )
    if state.status == HELD and state.hold_id == command.hold_id:
        return []
    if state.status != AVAILABLE:
        raise refusal("number_gone", f"{command.number} is not available any more.")
    return [_held(command)]


def _held(c: HoldNumber) -> NumberHeld:
    return NumberHeld(
        number=c.number,
        block_id=c.block_id,
        offer_id=c.offer_id,
        hold_id=c.hold_id,
        account_id=c.account_id,
    )


def release(command: ReleaseNumber, state: Stock) -> Sequence[Event]:
    """Only the hold that has the number can give it back."""
    if state.status != HELD or state.hold_id != command.hold_id:
        return []
    return [NumberReleased(number=command.number, hold_id=command.hold_id)]


def allocate(command: AllocateNumber, state: Stock) -> Sequence[Event]:
    """Only the hold that has the number can have it allocated, once."""
    if state.status == ALLOCATED and state.num_id == command.num_id:
        return []
    if state.status != HELD or state.hold_id != command.hold_id:
        raise refusal("number_gone", f"{command.number} is not held for this order.")
    return [_allocated(command)]


def _allocated(c: AllocateNumber) -> NumberAllocated:
    return NumberAllocated(
        number=c.number,
        num_id=c.num_id,
        order_id=c.order_id,
        hold_id=c.hold_id,
        account_id=c.account_id,
    )


def quarantine(command: QuarantineNumber, state: Stock) -> Sequence[Event]:
    """The end of the tenure that has the number; any other is pointless."""
    if state.status != ALLOCATED or state.num_id != command.num_id:
        return []
    c = command
    return [NumberQuarantined(number=c.number, num_id=c.num_id, until=c.until)]


def give_back(command: ReturnNumber, state: Stock) -> Sequence[Event]:
    """After the rest, not before (FCC DA 20-706: at least 45 days)."""
    over = state.until is not None and command.now >= state.until
    if state.status != QUARANTINED or not over:
        return []
    return [NumberReturnedToStock(number=command.number)]


def decide(command: Command, state: Stock) -> Sequence[Event]:
    """Which rule a command meets."""
    match command:
        case HoldNumber():
            return hold(command, state)
        case ReleaseNumber():
            return release(command, state)
        case AllocateNumber():
            return allocate(command, state)
        case QuarantineNumber():
            return quarantine(command, state)
        case ReturnNumber():
            return give_back(command, state)
        case _:
            assert_never(command)


def evolve(_state: Stock, event: Event) -> Stock:
    """What happened to the number."""
    match event:
        case NumberHeld():
            return Stock(HELD, hold_id=event.hold_id)
        case NumberAllocated():
            return Stock(ALLOCATED, hold_id=event.hold_id, num_id=event.num_id)
        case NumberQuarantined():
            return Stock(QUARANTINED, num_id=event.num_id, until=event.until)
        case NumberReleased() | NumberReturnedToStock():
            return Stock()
        case _:
            assert_never(event)


AGGREGATE = Aggregate(
    category="stock",
    commands=(HoldNumber, ReleaseNumber, AllocateNumber, QuarantineNumber, ReturnNumber),
    initial=Stock(),
    key=lambda command: command.number,
    evolve=evolve,
    decide=decide,
    begins=(HoldNumber,),
)

"""A hold: inventory's process manager. It answers once for all its numbers.

asked → held → (pinned → allocated) | ended. Expiry is decided by the rules and nowhere else, by
``until`` against the command's ``now``; a pinned hold has no expiry and ends with its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from services.inventory.domain import hold_rules as rules
from services.inventory.domain.hold_state import Event, Hold, evolve
from services.inventory.messages import (
    AskHold,
    AwaitStock,
    EndPinnedHold,
    ExpireHold,
    ExtendHold,
    PinHold,
    RecordAllocated,
    RecordHeld,
    ReleaseHold,
    TryMore,
)
from shared.aggregate import Aggregate

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


def decide(command: Command, state: Hold) -> Sequence[Event]:
    """Which rule a command meets."""
    match command:
        case AskHold():
            return rules.ask(command, state)
        case TryMore():
            return rules.try_more(command, state)
        case RecordHeld():
            return rules.record(command, state)
        case AwaitStock():
            return rules.await_stock(command, state)
        case ExtendHold():
            return rules.extend(command, state)
        case PinHold():
            return rules.pin(command, state)
        case ReleaseHold():
            return rules.release(command, state)
        case ExpireHold():
            return rules.expire(command, state)
        case EndPinnedHold():
            return rules.end_pinned(command, state)
        case RecordAllocated():
            return rules.record_allocated(command, state)
        case _:
            assert_never(command)


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
    begins=(AskHold,),
)

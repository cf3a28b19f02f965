"""A command on its way with who asks for it, and what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.errors import PbxError


@dataclass(frozen=True, slots=True)
class Order:
    """A command on its way: what to do, and who asks for it. ``now`` is business time."""

    command: Any
    command_id: uuid.UUID
    now: datetime
    actor: str
    correlation_id: str
    causation_id: str = ""
    traceparent: str = ""

    def sibling(self, command: object, *parts: str) -> Order:
        """Another command of the same piece of work, with an id derived from this one's."""
        child = uuid.uuid5(self.command_id, "\x1f".join(parts))
        return replace(self, command=command, command_id=child)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command. ``position`` is that of the stream's last event of this command, or
    of the stream when nothing had to be recorded; ``state`` is the aggregate's after it."""

    position: int
    events: tuple[Any, ...]
    state: Any
    replayed: bool = False


def accepted(outcomes: Iterable[Done | PbxError]) -> list[Done]:
    """What was done. Raises the first refusal among the outcomes."""
    done: list[Done] = []
    for outcome in outcomes:
        if isinstance(outcome, PbxError):
            raise outcome
        done.append(outcome)
    return done

"""The two clocks (architecture section 7).

Machine time: sessions, limits, locks, back-off, signatures, ``recorded_at``. Business time: holds,
renewals, dunning, FOC, quarantine, ``occurred_at``: machine time plus an offset that is an event
(``ClockAdvanced``), so that every process learns it from the log. The offset never shrinks.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""


class MachineClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)


class BusinessClock:
    """Machine time plus the offset learnt from the log."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """The current business instant, UTC."""
        return self._machine.now() + self.offset

    def learn(self, offset: timedelta) -> None:
        """Takes over an offset from the log; an older, smaller one is passed over."""
        self.offset = max(self.offset, offset)


def micros_since_epoch() -> int:
    """Machine time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000

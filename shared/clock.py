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
        self._held: datetime | None = None

    def now(self) -> datetime:
        """The current business instant, UTC."""
        held = self._held
        return self._machine.now() + self.offset if held is None else held

    def learn(self, offset: timedelta) -> None:
        """Takes over an offset from the log; an older, smaller one is passed over."""
        self.offset = max(self.offset, offset)

    def hold(self, at: datetime) -> None:
        """Stands still at an instant while what is due then is done (the test clock). The offset
        must reach as far already, so that the time never goes back when it runs again."""
        self._held = at

    def run(self) -> None:
        """Runs again."""
        self._held = None


def micros_since_epoch() -> int:
    """Machine time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000

"""How often a runner looks into the log: at once after a rest, less often in a stream of events.

Every commit of any service wakes every runner. Where each of them makes a round for each commit,
most of the machine's time goes into rounds that find one event, often of no interest. The more
events there are, the longer a round waits for others to come: then what it finds is read, answered
and written together, and the machine has time for more.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.consumers.feed import Feed

_QUICK_SECONDS = 0.01  # A purchase is a chain of some seven reactions.
_SLOW_SECONDS = 0.06
# In a dense stream: a purchase takes some tenths of a second longer, and costs half.
_DENSE_QUICK_SECONDS = 0.04
_DENSE_SLOW_SECONDS = 0.2
_DENSE_PER_SECOND = 200.0  # One buyer alone makes some 120 events a second, twenty make 280.
_WINDOW_SECONDS = 0.5
_STAYS_QUICK_SECONDS = 0.5
_CATCHING_UP = 200


class Pace:
    """Seconds between two rounds: few while events come of the types that are ``urgent``, more
    while only others come or while many come, none while there is much to catch up with."""

    def __init__(
        self,
        feed: Feed,
        urgent: frozenset[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._urgent = urgent
        self._now = now
        self._last_urgent = -_STAYS_QUICK_SECONDS
        self._window = now()
        self._read_before = 0
        self.dense = False  # Whether many events come.

    def __call__(self) -> float:
        """See ``Engine``."""
        if self._feed.read_at_once >= _CATCHING_UP:
            return 0.0
        now = self._now()
        self._measure(now)
        if self._urgent & self._feed.last_types:
            self._last_urgent = now
        if now - self._last_urgent < _STAYS_QUICK_SECONDS:
            return _DENSE_QUICK_SECONDS if self.dense else _QUICK_SECONDS
        return _DENSE_SLOW_SECONDS if self.dense else _SLOW_SECONDS

    def _measure(self, now: float) -> None:
        passed = now - self._window
        if passed >= _WINDOW_SECONDS:
            self.dense = self._feed.read_in_all - self._read_before >= _DENSE_PER_SECOND * passed
            self._window, self._read_before = now, self._feed.read_in_all

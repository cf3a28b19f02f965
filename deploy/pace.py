"""How often a runner looks into the log: at once after a rest, less often in a stream of events.

Every commit of any service wakes every runner. Where each of them makes a round for each commit,
most of the machine's time goes into rounds that find one event, often of no interest.
"""

from __future__ import annotations

import time

from shared.consumers.feed import Feed

_QUICK_SECONDS = 0.01  # A purchase is a chain of some seven reactions.
_SLOW_SECONDS = 0.06
_STAYS_QUICK_SECONDS = 0.5
_CATCHING_UP = 50


class Pace:
    """Seconds between two rounds: few while events come of the types that are ``wanted``, more
    while only others come, none while there is much to catch up with."""

    def __init__(self, feed: Feed, wanted: frozenset[str]) -> None:
        self._feed = feed
        self._wanted = wanted
        self._last_wanted = 0.0

    def __call__(self) -> float:
        """See ``Engine``."""
        if self._feed.read_at_once >= _CATCHING_UP:
            return 0.0
        now = time.monotonic()
        if self._wanted & self._feed.last_types:
            self._last_wanted = now
        quick = now - self._last_wanted < _STAYS_QUICK_SECONDS
        return _QUICK_SECONDS if quick else _SLOW_SECONDS

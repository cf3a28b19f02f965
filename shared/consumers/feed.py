"""The one reader of the log in a process. Its last events stay in memory for all consumers."""

from __future__ import annotations

import contextlib
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise

from shared.codec import Codec
from shared.eventlog import EventLog, Recorded
from shared.happened import Happened
from shared.refusals import refusal

_WINDOW = 4096
_SURELY_SECONDS = 1.0  # A word that was lost costs so much.


class News:
    """Whether the log may have something that was not read yet. Every append rings, also those of
    other processes; asking a database that has nothing new costs as much as reading an event."""

    def __init__(self) -> None:
        self._rung = True
        self._quiet_until = 0.0

    def ring(self) -> None:
        """There may be something. Called from any thread."""
        self._rung = True

    @property
    def expected(self) -> bool:
        """Whether to ask: something rang since the last time, or it is a second ago."""
        return self._rung or time.monotonic() >= self._quiet_until

    def asking(self) -> None:
        """The log is asked now. What rings from here on is asked for once more."""
        self._rung = False
        self._quiet_until = time.monotonic() + _SURELY_SECONDS


class Feed:
    """Hands out events behind a position: from memory if recent, else from the log. With ``news``
    the log is asked for what comes behind its end only where there may be something."""

    def __init__(self, log: EventLog, codec: Codec, news: News | None = None) -> None:
        self.log = log
        self._codec = codec
        self._news = news
        self._end: int | None = None  # Behind this position the log had nothing.
        self._lock = threading.Lock()
        self._window: list[Happened] = []
        self._asked: bool | None = None
        self.read_at_once = 0  # How many events the log gave last.
        self.read_in_all = 0
        self.last_types: frozenset[str] = frozenset()  # Of which types.
        self._behind = 0  # The window has every event from here to its end.

    def read(self, after: int, limit: int) -> list[Happened]:
        """Events in order. Raises ``log_has_hole`` where a contiguous log is not."""
        with self._lock:
            if after == self._end and self._news is not None and not self._news.expected:
                return []
            self._extend(after, limit)
            if self._window and self._behind <= after:
                first = bisect_right(self._window, after, key=lambda e: e.position)
                return self._window[first : first + limit]
        return self._from_log(after, limit)

    def at(self, position: int) -> Happened:
        """The event at exactly this position. Raises ``log_went_back`` if there is none."""
        with self._lock:
            place = bisect_left(self._window, position, key=lambda e: e.position)
            if self._window[place : place + 1] and self._window[place].position == position:
                return self._window[place]
        stored = self.log.read_at(position)
        if stored is None:
            raise refusal("log_went_back", f"There is no event at {position}.")
        return self.wrap(stored)

    @contextlib.contextmanager
    def one_look(self) -> Iterator[None]:
        """Within it the log is asked once for what comes behind the newest event known: consumers
        that stand there need not each ask for themselves. What comes later is for the next look."""
        self._asked = False
        try:
            yield
        finally:
            self._asked = None

    def wrap(self, stored: Recorded) -> Happened:
        """An event that was read elsewhere."""
        return Happened(stored, self._codec)

    def _extend(self, after: int, limit: int) -> None:
        end = self._window[-1].position if self._window else after
        if after < end or (after == end and self._asked):
            return
        if self._asked is not None:
            self._asked = True
        if after > end:  # The window follows whoever is furthest; the others read for themselves.
            self._window.clear()
        if not self._window:
            self._behind = after
        self._end = None
        if self._news is not None:
            self._news.asking()
        found = self._from_log(after, limit)
        if len(found) < limit:
            self._end = found[-1].position if found else after
        self._window += found
        if len(self._window) > _WINDOW:
            self._behind = self._window[-_WINDOW - 1].position
            del self._window[:-_WINDOW]

    def _from_log(self, after: int, limit: int) -> list[Happened]:
        stored = self.log.read_all(after, limit)
        if stored:
            self.read_at_once = len(stored)
            self.read_in_all += len(stored)
            self.last_types = frozenset(event.type for event in stored)
        if self.log.contiguous:
            _assert_contiguous(after, stored)
        return [self.wrap(event) for event in stored]


def _assert_contiguous(after: int, stored: list[Recorded]) -> None:
    positions = [after, *(event.position for event in stored)]
    for before, position in pairwise(positions):
        if position != before + 1:
            raise refusal("log_has_hole", f"Behind {before} comes {position}.")

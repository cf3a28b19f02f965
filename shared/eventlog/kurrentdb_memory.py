"""Streams that were read before, so that only what is new is read again: the server sends each
event as a message of its own, and a client in Python takes some 200 µs for one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from shared.eventlog import Recorded

_EVENTS = 20_000  # In all streams together; some 20 MB.


class Memory:
    """The streams that were read last, as far as they were read. Safe for many threads.

    What it holds is never believed without asking: whoever reads on begins with the last event
    that is held, and takes the rest only if that one is still there, unchanged. A log that was
    restored, or a stream that was deleted, is noticed by that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: OrderedDict[str, list[Recorded]] = OrderedDict()
        self._events = 0

    def held(self, stream: str) -> list[Recorded]:
        """The beginning of the stream, perhaps all of it; empty if nothing is held."""
        with self._lock:
            if stream in self._streams:
                self._streams.move_to_end(stream)
            return self._streams.get(stream, [])

    def hold(self, stream: str, events: list[Recorded]) -> None:
        """Holds this instead of what was held. Nobody may change the list from now on."""
        with self._lock:
            self._events += len(events) - len(self._streams.pop(stream, []))
            self._streams[stream] = events
            while self._events > _EVENTS:
                self._events -= len(self._streams.popitem(last=False)[1])


def joined(held: list[Recorded], read: Sequence[Recorded]) -> list[Recorded] | None:
    """What was held, and what was read from its last event on; ``None`` if they do not fit."""
    if not held:
        return list(read)
    return [*held, *read[1:]] if read and read[0] == held[-1] else None

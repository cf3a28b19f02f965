"""What an application remembers of streams, so that it need not read and fold them again.

It may be out of date: other processes write, too. So nothing may rest on it but an append at
exactly its version, which the log refuses where the stream has moved on (ADR 19).
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MOST_EVENTS = 50_000


@dataclass(frozen=True, slots=True)
class Known:
    """A stream at a version: the state folded so far, the position of its last event, and the ids
    of the commands that wrote it. More ids than that do no harm: they are looked up in the log."""

    state: Any
    version: int
    position: int
    commands: set[uuid.UUID]


class KnownStreams:
    """The streams used last, so many that they hold ``most`` events together. Safe for threads."""

    def __init__(self, most: int = MOST_EVENTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._found: OrderedDict[str, Known] = OrderedDict()
        self._events = 0

    def find(self, streams: Iterable[str]) -> dict[str, Known]:
        """Those of them that are remembered; they count as used now."""
        with self._lock:
            found = {name: self._found[name] for name in streams if name in self._found}
            for name in found:
                self._found.move_to_end(name)
            return found

    def keep(self, stream: str, known: Known) -> None:
        """Remembers this instead of what was known of the stream."""
        with self._lock:
            self._drop(stream)
            self._found[stream] = known
            self._events += known.version
            while self._events > self._most:
                self._drop(next(iter(self._found)))

    def forget(self, stream: str) -> None:
        """It has moved on."""
        with self._lock:
            self._drop(stream)

    def _drop(self, stream: str) -> None:
        known = self._found.pop(stream, None)
        if known is not None:
            self._events -= known.version

"""Says of requests that take long that they still run, so that their keys stay theirs.

Nobody says it for a process that died: what it was answering may be asked again a few seconds
later, wherever it is asked.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from services.gateway import idempotency
from services.gateway.idempotency import Running
from shared.errors import Unavailable
from shared.stores import Store

EVERY_SECONDS = 2.0


class Renewer:
    """The requests with a key that are under way in this process."""

    def __init__(self, state: Store) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._seen: set[Running] = set()

    def began(self, running: Running) -> None:
        """A request is under way."""
        with self._lock:
            self._running.add(running)

    def ended(self, running: Running) -> None:
        """It is answered, one way or the other."""
        with self._lock:
            self._running.discard(running)

    def look(self, now: int) -> int:
        """Renews what was under way at the last look and still is; says how many that were. What
        ends sooner, as nearly everything does, costs nothing. ``now`` is machine time in seconds
        since 1970."""
        with self._lock:
            still, self._seen = self._running & self._seen, set(self._running)
        if still:
            idempotency.renew(self._state, still, now)
        return len(still)

    def run(self, ending: threading.Event, now: Callable[[], int]) -> None:
        """Looks again and again."""
        while not ending.wait(EVERY_SECONDS):
            with contextlib.suppress(Unavailable):  # Then the request has the same trouble.
                self.look(now())

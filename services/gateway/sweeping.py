"""Deletes what is past its stated life: sessions, links, idempotency answers, mails.

Done on the way, by whichever request comes when it is time; no thread of its own.
"""

from __future__ import annotations

import contextlib
import threading

from services.gateway import idempotency, looking, mail, sessions, tokens
from shared.errors import Unavailable
from shared.stores import Store

EVERY_SECONDS = 600


class Sweeper:
    """Sweeps at most every ten minutes. ``now`` is machine time in seconds since 1970."""

    def __init__(self, state: Store) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._next = 0

    def pass_by(self, now: int) -> int:
        """Sweeps if it is time; says how many rows went."""
        with self._lock:
            if now < self._next:
                return 0
            self._next = now + EVERY_SECONDS
        with contextlib.suppress(Unavailable):  # It can wait; whoever is answered here cannot.
            return sweep(self._state, now)
        return 0


def sweep(state: Store, now: int) -> int:
    """Deletes everything past its life; says how many rows that were."""
    return sum(part.sweep(state, now) for part in (idempotency, sessions, looking, tokens, mail))

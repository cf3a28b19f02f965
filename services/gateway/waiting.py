"""Reading your own writes, and waiting for an order (architecture section 9)."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from shared.runtime import Progress

_MOST_CALLERS = 10_000
_MOST_WAITERS = 16
FRESH_SECONDS = 2.0
ENDED = frozenset({"fulfilled", "failed", "refunded", "needs_operator", "action_required"})


class Positions:
    """The highest log position each caller has been answered with; forgets the longest silent."""

    def __init__(self, most: int = _MOST_CALLERS) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._seen: OrderedDict[str, int] = OrderedDict()

    def seen(self, caller: str, position: int) -> None:
        """The caller was told of this position."""
        with self._lock:
            self._seen[caller] = max(position, self._seen.pop(caller, 0))
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)

    def of(self, caller: str) -> int:
        """What the caller's next look must not be older than; 0 for one we know nothing of."""
        with self._lock:
            return self._seen.get(caller, 0)


class Waiters:
    """So many requests may wait at once; more would take the threads of all others."""

    def __init__(self, most: int = _MOST_WAITERS) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextlib.contextmanager
    def place(self, *, wanted: bool = True) -> Iterator[bool]:
        """A place to wait in, if there is one: says whether the request may wait."""
        free = wanted and self._free.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._free.release()


def until_ended(
    progress: Progress,
    order: dict[str, Any],
    read: Callable[[], dict[str, Any]],
    seconds: float,
    ended: frozenset[str] = ENDED,
) -> dict[str, Any]:
    """The order when its status is among ``ended``, or as it is after ``seconds``."""
    last = order

    def holds() -> bool:
        nonlocal last
        last = read()
        return last["status"] in ended

    if seconds > 0 and order["status"] not in ended:
        progress.wait_on(f"order-{order['id']}", holds, seconds)
    return last

"""What the tests of the event log read and check, in one thread or in many."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from shared.eventlog import EventLog, Recorded

T = TypeVar("T")
PATIENCE = 20  # Seconds; a busy machine is no failure.


def everything(log: EventLog, at_once: int = 1000) -> list[Recorded]:
    """The whole log, in pieces of so many events."""
    found: list[Recorded] = []
    while some := log.read_all(found[-1].position if found else 0, at_once):
        found += some
    return found


def assert_in_order(log: EventLog) -> None:
    """Positions grow, without gaps where the backend says so; versions count up in each stream."""
    recorded = everything(log)
    positions = [event.position for event in recorded]
    assert positions == sorted(set(positions))
    if log.contiguous:
        assert positions == list(range(1, len(positions) + 1))
    seen: Counter[str] = Counter()
    for event in recorded:
        seen[event.stream] += 1
        assert event.version == seen[event.stream], event.stream


def at_once(many: int, work: Callable[[int], T]) -> list[T]:
    """Runs the work in so many threads that begin together; answers with what each returned."""
    barrier = threading.Barrier(many, timeout=PATIENCE)
    results: dict[int, T] = {}

    def run(n: int) -> None:
        barrier.wait()
        results[n] = work(n)

    # Daemons: one that does not end must not keep the process, too.
    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(many)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 3 * PATIENCE
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    assert len(results) == many, "a thread ended with an error, or not at all"
    return [results[n] for n in range(many)]


def until(condition: Callable[[], object]) -> None:
    """Waits for what happens in another process; fails if it does not."""
    for _ in range(PATIENCE * 200):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")

"""What every backend of the event log promises when many write, or when the machine fails it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.eventlog import Appended, EventLog
from tests.contract.log_backends import BACKENDS, Backend
from tests.contract.log_checks import PATIENCE, assert_in_order, at_once, everything, until
from tests.contract.log_writer import (
    SHARED,
    append,
    append_with_retry,
    entry,
    new_event,
    write_own_and_shared,
)

ROOT = Path(__file__).parents[2]
THREADS = 16
PROCESSES = 4


def test_what_many_threads_were_told_is_what_is_there(log: EventLog) -> None:
    rounds = 10
    acked = at_once(THREADS, lambda n: write_own_and_shared(log, str(n), rounds))

    there = [event.event_id.hex() for event in everything(log)]
    assert sorted(there) == sorted(event for some in acked for event in some)
    assert len(there) == THREADS * rounds * 4
    assert len(log.read_stream(SHARED)) == THREADS * rounds
    assert_in_order(log)


def test_one_event_written_by_many_at_once_is_there_once(log: EventLog) -> None:
    wanted = (new_event("a"), new_event("b"))

    outcomes = at_once(THREADS, lambda _: append_with_retry(log, "order-1", wanted))

    assert len({outcome.positions for outcome in outcomes}) == 1
    assert len(log.read_stream("order-1")) == 2


def test_a_reader_sees_no_event_late(log: EventLog) -> None:
    """A reader that follows the head while others write misses nothing and sees no gap."""
    ended = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        while not ended.is_set() or log.head() > (seen[-1] if seen else 0):
            seen.extend(event.position for event in log.read_all(seen[-1] if seen else 0, 50))

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        at_once(8, lambda n: write_own_and_shared(log, str(n), 8))
    finally:
        ended.set()
        reader.join(PATIENCE)

    assert seen == [event.position for event in everything(log)]


def writer(backend: Backend, address: str, *rest: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contract.log_writer", backend.name, address, *rest]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


def test_what_many_processes_were_told_is_what_is_there(
    backend: Backend, address: str, log: EventLog
) -> None:
    rounds = 15
    writers = [writer(backend, address, "own", str(n), str(rounds)) for n in range(PROCESSES)]
    printed = [process.communicate(timeout=3 * PATIENCE)[0].split() for process in writers]

    assert [process.returncode for process in writers] == [0] * PROCESSES
    there = [event.event_id.hex() for event in everything(log)]
    assert sorted(there) == sorted(event for some in printed for event in some)
    assert len(there) == PROCESSES * rounds * 4
    assert_in_order(log)


# ── Faults ────────────────────────────────────────────────────────────────────────────────────────


def read_acks(acks: Path) -> set[str]:
    text = acks.read_text() if acks.exists() else ""
    whole = text[: text.rfind("\n") + 1]  # The last line may have been cut by the kill.
    return set(whole.split())


def test_a_writer_killed_in_a_commit_loses_nothing_and_leaves_nothing_half(
    backend: Backend, address: str, log: EventLog, tmp_path: Path
) -> None:
    """``kill -9`` at a random moment: each round goes on where the last one died."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acks = tmp_path / "acks.txt"
    killed_while_writing = 0
    for n in range(backend.kills):
        before = len(read_acks(acks))
        with writer(backend, address, "for-ever", f"{seed}-{n}", str(acks)) as process:
            try:  # Once it has begun, any moment will do.
                until(lambda before=before: len(read_acks(acks)) > before)
                threading.Event().wait(chance.uniform(0, 0.03))
                assert process.poll() is None
            finally:
                process.kill()
        killed_while_writing += process.returncode == -9

    by_stream = Counter(event.stream for event in everything(log))
    assert killed_while_writing == backend.kills
    assert read_acks(acks) <= {event.event_id.hex() for event in everything(log)}
    assert {count for stream, count in by_stream.items() if stream.startswith("own-")} == {2}
    assert {count for stream, count in by_stream.items() if stream.startswith("more-")} == {3}
    assert_in_order(log)
    append(log, "after-1", 0, "a")


WITHOUT_ROOM = [(backend, way) for backend in BACKENDS for way in backend.without_room]


@pytest.mark.parametrize(
    ("backend", "way"), WITHOUT_ROOM, ids=[f"{b.name}-{way.__name__}" for b, way in WITHOUT_ROOM]
)
def test_a_full_disk_refuses_and_leaves_nothing_half(
    backend: Backend,
    way: Callable[[EventLog, str], AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    address = backend.make(tmp_path)
    log = backend.open(address)
    append(log, "order-1", 0, "a", "b")
    before = everything(log)
    small = entry("small-1", 0, "there is room for it, and it is taken back all the same")
    large = [small, *(entry(f"large-{n}", 0, "x" * 50_000, "y" * 50_000) for n in range(4))]

    with way(log, address):
        for _ in range(3):
            with pytest.raises(Unavailable, match="storage_full"):
                log.append_batch(large)
        assert everything(log) == before

    assert all(isinstance(outcome, Appended) for outcome in log.append_batch(large))
    assert len(everything(log)) == len(before) + 9
    assert_in_order(log)
    log.close()

"""A process that writes into a log: ``python -m tests.contract.log_writer BACKEND ADDRESS …``.

``own N`` writes N entries of 3 events into a stream of its own and N into one that all writers
share. ``for-ever`` writes until it is killed; before each entry's ids are printed, they were
acknowledged. What is printed has reached the file when the next append begins.
"""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

from shared.eventlog import Appended, Entry, EventLog, NewEvent
from tests.contract.log_backends import BY_NAME

SHARED = "shared-1"


def new_event(text: str = "", *, event_id: bytes | None = None, account_id: str = "a") -> NewEvent:
    """An event whose payload is not of any of our types: the log does not look into it."""
    found = event_id or uuid.uuid4().bytes
    return NewEvent(found, account_id, "Written", 1, f'{{"text":"{text}"}}'.encode(), b"{}")


def entry(stream: str, expected: int, *texts: str) -> Entry:
    """New events for a stream."""
    return Entry(stream, stream.partition("-")[0], expected, tuple(map(new_event, texts)))


def append(log: EventLog, stream: str, expected: int, *texts: str) -> Appended:
    """Appends where nobody else does."""
    (outcome,) = log.append_batch([entry(stream, expected, *texts)])
    assert isinstance(outcome, Appended)
    return outcome


def append_with_retry(log: EventLog, stream: str, wanted: tuple[NewEvent, ...]) -> Appended:
    """Appends the same events again and again until nobody was faster."""
    while True:
        expected = len(log.read_stream(stream))
        (outcome,) = log.append_batch([Entry(stream, "shared", expected, wanted)])
        if isinstance(outcome, Appended):
            return outcome


def write_own_and_shared(log: EventLog, name: str, rounds: int) -> list[str]:
    """Writes both kinds; answers with the ids of everything acknowledged."""
    acked: list[str] = []
    for n in range(rounds):
        mine = entry(f"own-{name}", 3 * n, "a", "b", "c")
        (outcome,) = log.append_batch([mine])
        assert isinstance(outcome, Appended)
        shared = (new_event(f"{name} {n}"),)
        append_with_retry(log, SHARED, shared)
        acked += [event.event_id.hex() for event in (*mine.events, *shared)]
    return acked


def _write_for_ever(log: EventLog, seed: str, acks: Path) -> None:
    with acks.open("a") as file:
        n = 0
        while True:
            some = [
                entry(f"own-{seed}-{n}", 0, "a", "b"),
                entry(f"more-{seed}-{n}", 0, "c", "d", "e"),
            ]
            log.append_batch(some)
            file.write(" ".join(e.event_id.hex() for one in some for e in one.events) + "\n")
            file.flush()
            os.fsync(file.fileno())
            n += 1


def main(backend: str, address: str, kind: str, name: str, more: str) -> None:
    """What the command line says."""
    log = BY_NAME[backend].open(address)
    if kind == "own":
        sys.stdout.write("\n".join(write_own_and_shared(log, name, int(more))))
    else:
        _write_for_ever(log, name, Path(more))
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

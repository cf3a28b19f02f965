"""How often a runner looks into the log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.pace import Pace
from shared.codec import Codec
from shared.consumers.feed import Feed
from shared.eventlog import Entry, NewEvent
from shared.eventlog.sqlite import SqliteLog
from tests.contract.golden_messages import OneKey


class Stream:
    """A log that others write to, a reader, and a watch that the test turns."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self._feed = Feed(log, Codec(OneKey()))
        self._seconds = 100.0
        self._position = 0
        self.pace = Pace(self._feed, frozenset({"OrderPlaced"}), lambda: self._seconds)

    def pause_after(self, seconds: float, kind: str, many: int) -> float:
        """So many events come in this time; what the pace says when they were read."""
        events = [NewEvent(uuid.uuid4().bytes, "", kind, 1, b"{}", b"") for _ in range(many)]
        self._log.append_batch([Entry(f"a-{uuid.uuid4()}", "a", 0, tuple(events))])
        self._position = self._feed.read(self._position, 4096)[-1].position
        self._seconds += seconds
        return self.pace()


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    log = SqliteLog(tmp_path / "log.db")
    yield Stream(log)
    log.close()


def test_a_runner_is_quick_while_events_come_that_somebody_waits_for(stream: Stream) -> None:
    quick = stream.pause_after(0.1, "OrderPlaced", 2)

    assert quick == stream.pause_after(0.3, "BoxFilled", 2), "the next link of the chain is near"
    assert stream.pause_after(0.6, "BoxFilled", 2) > quick


def test_a_round_waits_longer_where_many_events_come(stream: Stream) -> None:
    sparse = stream.pause_after(1.0, "OrderPlaced", 100)
    dense = stream.pause_after(0.6, "OrderPlaced", 190)

    assert sparse < dense <= 0.05
    assert stream.pause_after(0.6, "OrderPlaced", 5) == sparse


def test_events_that_nobody_waits_for_are_left_to_gather(stream: Stream) -> None:
    sparse = stream.pause_after(1.0, "BoxFilled", 100)
    dense = stream.pause_after(0.6, "BoxFilled", 190)

    assert sparse < dense <= 0.2


def test_a_runner_that_has_much_to_catch_up_with_does_not_pause(stream: Stream) -> None:
    assert stream.pause_after(0.01, "BoxFilled", 300) == 0.0
    assert stream.pause_after(1.0, "BoxFilled", 300) == 0.0

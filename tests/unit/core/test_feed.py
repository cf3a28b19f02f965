"""The one reader of a process: recent events from memory, older ones from the log, no holes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.codec import Codec
from shared.consumers import feed as feeds
from shared.consumers.feed import Feed, News
from shared.errors import Broken
from shared.eventlog import Entry, NewEvent, Recorded
from shared.eventlog.sqlite import SqliteLog
from tests.contract.golden_messages import OneKey


class CountedLog:
    """A log that tells what was read of it, and may lack an event."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self.reads: list[int] = []
        self.missing: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    contiguous = True

    def read_all(self, after: int, limit: int) -> list[Recorded]:
        self.reads.append(after)
        found = self._log.read_all(after, limit + len(self.missing))
        return [event for event in found if event.position not in self.missing][:limit]


def write(log: CountedLog, many: int) -> None:
    for n in range(many):
        event = NewEvent(uuid.uuid4().bytes, "", "BoxFilled", 1, b'{"amount":1,"box_id":"b"}', b"")
        log.append_batch([Entry(f"a-{n}-{uuid.uuid4()}", "a", 0, (event,))])


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CountedLog]:
    opened = SqliteLog(tmp_path / "log.db")
    yield CountedLog(opened)
    opened.close()


@pytest.fixture
def feed(log: CountedLog) -> Feed:
    return Feed(log, Codec(OneKey()))


def positions(feed: Feed, after: int, limit: int = 1000) -> list[int]:
    return [event.position for event in feed.read(after, limit)]


def test_events_come_in_order_behind_a_position(log: CountedLog, feed: Feed) -> None:
    write(log, 5)

    assert positions(feed, 0) == [1, 2, 3, 4, 5]
    assert positions(feed, 2, limit=2) == [3, 4]
    assert positions(feed, 5) == []


def test_what_one_consumer_read_is_not_read_again_for_the_others(
    log: CountedLog, feed: Feed
) -> None:
    write(log, 5)
    first = feed.read(0, 1000)
    log.reads.clear()

    assert feed.read(0, 1000) == first
    assert feed.read(3, 1000) == first[3:]
    assert log.reads == []


def test_new_events_are_seen(log: CountedLog, feed: Feed) -> None:
    write(log, 2)
    positions(feed, 0)
    write(log, 2)

    assert positions(feed, 2) == [3, 4]
    assert positions(feed, 0) == [1, 2, 3, 4]


def test_one_that_is_behind_reads_for_itself(
    log: CountedLog, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "_WINDOW", 4)
    write(log, 10)
    ahead = positions(feed, 0)
    log.reads.clear()

    assert ahead == list(range(1, 11))
    assert positions(feed, 2, limit=3) == [3, 4, 5]
    assert log.reads == [2]
    assert positions(feed, 6) == [7, 8, 9, 10]
    assert log.reads == [2]


def test_the_window_follows_whoever_is_furthest(log: CountedLog, feed: Feed) -> None:
    """One that stopped early does not make all others read the log for ever."""
    write(log, 10)
    assert positions(feed, 0, limit=3) == [1, 2, 3]  # It stops here.
    assert positions(feed, 8) == [9, 10]
    write(log, 2)
    assert positions(feed, 10) == [11, 12]
    log.reads.clear()

    assert positions(feed, 10) == [11, 12]
    assert log.reads == []
    assert positions(feed, 3, limit=2) == [4, 5]


def test_an_event_is_decoded_once_for_all(log: CountedLog, feed: Feed) -> None:
    write(log, 1)

    assert feed.read(0, 1)[0].message is feed.read(0, 1)[0].message


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_hole_is_an_alarm(log: CountedLog, feed: Feed, gone: int) -> None:
    write(log, 4)
    log.missing.add(gone)

    with pytest.raises(Broken, match=f"log_has_hole: Behind {gone - 1} comes {gone + 1}"):
        feed.read(0, 10)


def test_a_hole_where_reading_went_on_is_an_alarm(log: CountedLog, feed: Feed) -> None:
    write(log, 2)
    positions(feed, 0)
    write(log, 2)
    log.missing.add(3)

    with pytest.raises(Broken, match="log_has_hole"):
        feed.read(2, 10)


def test_a_log_that_promises_no_neighbours_may_have_holes(log: CountedLog, feed: Feed) -> None:
    log.contiguous = False
    write(log, 4)
    log.missing.add(2)

    assert positions(feed, 0) == [1, 3, 4]


@settings(
    print_blob=True,
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 4)),
            st.tuples(st.integers(0, 3), st.integers(1, 6)),
        ),
        max_size=25,
    )
)
def test_however_readers_interleave_each_sees_all_once(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[str | int, int]],
) -> None:
    monkeypatch.setattr(feeds, "_WINDOW", 5)
    opened = SqliteLog(tmp_path_factory.mktemp("log") / "log.db")
    log = CountedLog(opened)
    feed = Feed(log, Codec(OneKey()))
    seen: dict[int, list[int]] = {reader: [] for reader in range(4)}
    for who, many in steps:
        if who == "write":
            write(log, many)
        else:
            mine = seen[int(who)]
            mine += positions(feed, mine[-1] if mine else 0, many)

    head = log.head()
    for mine in seen.values():
        while some := positions(feed, mine[-1] if mine else 0):
            mine.extend(some)
        assert mine == list(range(1, head + 1))
    opened.close()


class Gapped(CountedLog):
    """A log whose positions are places in a file: 10, 20, 30 …"""

    contiguous = False

    def read_all(self, after: int, limit: int) -> list[Recorded]:
        assert after % 10 == 0, "there is no event at this position"
        self.reads.append(after)
        found = self._log.read_all(after // 10, limit)
        return [event._replace(position=event.position * 10) for event in found]


def test_positions_with_gaps_are_read_once_for_all_consumers(log: CountedLog) -> None:
    gapped = Gapped(log._log)
    feed = Feed(gapped, Codec(OneKey()))
    write(log, 3)
    assert positions(feed, 0) == [10, 20, 30]
    write(log, 2)
    assert positions(feed, 30) == [40, 50]
    gapped.reads.clear()

    assert positions(feed, 0) == [10, 20, 30, 40, 50]
    assert positions(feed, 10, limit=2) == [20, 30]
    assert gapped.reads == []


def test_with_gaps_a_window_that_jumped_ahead_is_read_once_too(log: CountedLog) -> None:
    gapped = Gapped(log._log)
    feed = Feed(gapped, Codec(OneKey()))
    write(log, 5)
    assert positions(feed, 30) == [40, 50]
    gapped.reads.clear()

    assert positions(feed, 30) == [40, 50]
    assert gapped.reads == []
    assert positions(feed, 20) == [30, 40, 50]
    assert gapped.reads == [20]


def test_with_news_the_log_is_asked_again_only_when_something_rang(log: CountedLog) -> None:
    news = News()
    feed = Feed(log, Codec(OneKey()), news)
    write(log, 2)

    assert positions(feed, 0) == [1, 2]
    log.reads.clear()
    assert positions(feed, 2) == positions(feed, 2) == []
    assert log.reads == [], "it knew that there was nothing behind 2"

    write(log, 1)
    news.ring()
    assert positions(feed, 2) == [3]


def test_what_is_written_while_the_log_is_asked_is_not_missed(log: CountedLog) -> None:
    news = News()
    feed = Feed(log, Codec(OneKey()), news)
    write(log, 1)
    ask = log.read_all

    def late(after: int, limit: int) -> list[Recorded]:
        found = ask(after, limit)
        write(log, 1)
        news.ring()
        return found

    log.read_all = late  # type: ignore[method-assign]
    assert positions(feed, 0) == [1]
    log.read_all = ask  # type: ignore[method-assign]
    assert positions(feed, 1) == [2]


def test_a_page_that_was_full_is_followed_by_another_without_news(log: CountedLog) -> None:
    feed = Feed(log, Codec(OneKey()), News())
    write(log, 3)

    assert positions(feed, 0, limit=2) == [1, 2]
    assert positions(feed, 2, limit=2) == [3]


def test_a_word_that_was_lost_costs_a_second(
    log: CountedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed(log, Codec(OneKey()), News())
    assert positions(feed, 0) == []
    write(log, 1)

    assert positions(feed, 0) == [], "nobody rang"
    later = time.monotonic() + 1
    monkeypatch.setattr(feeds.time, "monotonic", lambda: later)
    assert positions(feed, 0) == [1]


def test_an_event_that_is_in_memory_is_not_read_again(log: CountedLog, feed: Feed) -> None:
    write(log, 2)
    feed.read(0, 1000)

    assert feed.at(2).position == 2
    assert feed.at(1) is feed.read(0, 1000)[0]

"""What is remembered of streams saves reading them, and is never trusted where it may be wrong."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.aggregate import Aggregate
from shared.application import Application, Done
from shared.errors import PbxError
from shared.eventlog import EventLog, Recorded
from shared.known_streams import Known, KnownStreams
from tests.support.boxes import BOXES, Box, BoxFilled, EmptyBox, FillBox, box_service
from tests.support.worlds import World, order


class Counted:
    """A log that says which streams it was asked for."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.read: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def read_streams(self, streams: Iterable[str]) -> dict[str, list[Recorded]]:
        self.read += streams
        return self._log.read_streams(streams)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [box_service()])
    yield made
    made.close()


def process(world: World, boxes: Aggregate = BOXES) -> tuple[Application, Counted]:
    """Another process on the same log, with a memory of its own."""
    log = Counted(world.log)
    return Application(log, world.application.codec, [boxes]), log


def fill(amount: int = 1, box_id: str = "b") -> FillBox:
    return FillBox(box_id=box_id, amount=amount)


def test_a_stream_is_read_once_and_then_remembered(world: World) -> None:
    world.execute(fill(3))
    mine, log = process(world)

    answers = [mine.execute(order(fill())) for _ in range(3)]

    assert log.read == ["box-b"]
    assert [a.state for a in answers] == [Box(4), Box(5), Box(6)]
    assert mine.load(BOXES, "b") == Box(6)


def test_who_was_beaten_reads_and_decides_again(world: World) -> None:
    mine, log = process(world)
    mine.execute(order(fill(1)))
    world.execute(fill(10))

    answer = mine.execute(order(EmptyBox(box_id="b", amount=11)))

    assert answer.state == Box(0)
    assert log.read == ["box-b", "box-b"]


def test_a_refusal_rests_on_the_log(world: World) -> None:
    mine, _ = process(world)
    mine.execute(order(fill(1)))
    world.execute(fill(1))

    assert mine.execute(order(EmptyBox(box_id="b", amount=2))).state == Box(0)
    with pytest.raises(PbxError, match="too_many_held"):
        mine.execute(order(EmptyBox(box_id="b", amount=1)))


def test_that_there_is_nothing_to_record_rests_on_the_log(world: World) -> None:
    mine, _ = process(world)
    mine.execute(order(fill(1)))
    position = world.execute(fill(1)).position

    answer = mine.execute(order(EmptyBox(box_id="b", amount=0)))

    assert (answer.events, answer.state, answer.position) == ((), Box(2), position)


def test_what_another_process_has_recorded_for_a_command_is_the_answer(world: World) -> None:
    """Also where this one would have decided something else, on what it remembers."""
    mine, _ = process(world)
    mine.execute(order(fill(1)))
    theirs = world.execute(fill(5), by="once")

    again = mine.execute(order(fill(7), by="once"))

    assert again.replayed
    assert again.events == theirs.events == (BoxFilled(box_id="b", amount=5),)
    assert again.position == theirs.position


def test_a_command_that_was_remembered_is_answered_from_the_log(world: World) -> None:
    mine, _ = process(world)
    first = mine.execute(order(fill(5), by="once"))
    mine.execute(order(fill(1)))

    again = mine.execute(order(fill(5), by="once"))

    assert again.replayed
    assert (again.events, again.position) == (first.events, first.position)


BEGINNING = replace(BOXES, begins=(FillBox,))


def test_a_command_that_begins_a_stream_reads_nothing(world: World) -> None:
    mine, log = process(world, BEGINNING)

    mine.execute_many([order(fill(1, "a")), order(fill(2, "b")), order(fill(3, "b"))])

    assert log.read == []
    assert [mine.load(BOXES, key) for key in "ab"] == [Box(1), Box(5)]


def test_a_stream_that_was_there_before_is_read_after_all(world: World) -> None:
    world.execute(fill(3))
    mine, log = process(world, BEGINNING)

    assert mine.execute(order(fill(1))).state == Box(4)
    assert log.read == ["box-b"]


def test_a_command_that_began_a_stream_is_answered_by_what_was_recorded(world: World) -> None:
    theirs = world.execute(fill(3), by="once")
    mine, _ = process(world, BEGINNING)

    again = mine.execute(order(fill(8), by="once"))

    assert again.replayed
    assert again.events == theirs.events


@pytest.mark.parametrize("seed", range(5))
def test_processes_that_remember_do_what_one_would_that_does_not(world: World, seed: int) -> None:
    """Four, with commands that meet in three boxes and are sent again to others."""
    chance = random.Random(seed)
    processes = [process(world, chance.choice([BOXES, BEGINNING]))[0] for _ in range(4)]
    sent = [_some_command(chance) for _ in range(200)]
    sent += chance.sample(sent, 60)
    chance.shuffle(sent)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(_outcome, chance.choice(processes), *one) for one in sent]
        outcomes = [job.result(60) for job in jobs]

    recorded = {event.event_id for event in world.log.read_all(0, 10_000)}
    assert len(recorded) == world.log.head()
    for (_, command_id), outcome in zip(sent, outcomes, strict=True):
        if isinstance(outcome, Done) and outcome.events:
            assert uuid.uuid5(command_id, "0").bytes in recorded
    for key in "abc":
        amount = 0
        for stored in world.log.read_stream(f"box-{key}"):
            event = world.application.codec.decode(
                stored.type, stored.schema_version, stored.payload, stored.event_id
            )
            amount += event.amount if isinstance(event, BoxFilled) else -event.amount
            assert amount >= 0, "something was taken out that was not there"


def _some_command(chance: random.Random) -> tuple[FillBox | EmptyBox, uuid.UUID]:
    kind, key = chance.choice([FillBox, EmptyBox]), chance.choice("abc")
    return kind(box_id=key, amount=chance.randint(0, 3)), uuid.UUID(int=chance.getrandbits(128))


def _outcome(
    by: Application, command: FillBox | EmptyBox, command_id: uuid.UUID
) -> Done | PbxError:
    (outcome,) = by.execute_many([order(command, by=command_id)])
    return outcome


def known(version: int) -> Known:
    return Known(Box(), version, version, set())


def test_the_streams_used_last_are_kept() -> None:
    streams = KnownStreams(most=10)
    for name in "abc":
        streams.keep(name, known(3))
    streams.find(["a"])
    streams.keep("d", known(3))

    assert set(streams.find("abcd")) == {"a", "c", "d"}


def test_a_stream_counts_as_long_as_it_is_now() -> None:
    streams = KnownStreams(most=10)
    for version in range(1, 11):
        streams.keep("a", known(version))
    streams.forget("a")
    streams.keep("b", known(10))

    assert set(streams.find("ab")) == {"b"}
    streams.keep("c", known(11))
    assert streams.find("abc") == {}

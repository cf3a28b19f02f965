"""Projections of one store write in one transaction, and fail each alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from shared.consumers import projections, together
from shared.consumers.checkpoints import CHECKPOINTS
from shared.consumers.projections import Projection, ProjectionConsumer
from shared.consumers.rows import Rows
from shared.consumers.together import Together
from shared.happened import Happened
from tests.support.boxes import BoxFilled, EmptyBox, FillBox, box_service, projection, shown
from tests.support.worlds import World

checkpoint = CHECKPOINTS.tables["checkpoint"]
LARGEST = MetaData()
largest = Table(
    "largest",
    LARGEST,
    Column("box_id", String, primary_key=True),
    Column("amount", Integer, nullable=False),
)


class Crash(BaseException):
    """The process dies here: no handler of ours may catch it."""


def fold_largest(happened: Happened, rows: Rows) -> None:
    """Thirteen is nothing that it can deal with."""
    e = happened.message
    if e.amount == 13:
        raise ValueError("thirteen")
    known = rows.get(largest, e.box_id)
    amount = max(e.amount, known["amount"] if known else 0)
    rows.put(largest, {"box_id": e.box_id, "amount": amount})


class Pair:
    """A runner with two read models."""

    def __init__(self, world: World) -> None:
        self._world = world
        second = Projection("largest", 1, LARGEST, (BoxFilled,), fold_largest)
        self.each = [
            ProjectionConsumer(one, world.feed, world.views) for one in (projection(), second)
        ]
        self.together = Together(self.each)

    def step(self) -> None:
        """As the engine does."""
        while True:
            stepped = self.together.step()
            alone = [one.step() for one in self.each if one not in stepped]
            if not any([*stepped.values(), *alone]):
                return

    def largest(self) -> dict[str, int]:
        with self._world.views.read() as connection:
            return {row.box_id: row.amount for row in connection.execute(select(largest))}

    def places(self) -> dict[str, int]:
        with self._world.views.read() as connection:
            found = connection.execute(select(checkpoint.c.consumer, checkpoint.c.position))
            return {row.consumer: row.position for row in found}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [box_service()])
    yield made
    made.close()


@pytest.fixture
def pair(world: World) -> Pair:
    return Pair(world)


def fill(world: World, *amounts: int) -> None:
    for amount in amounts:
        world.execute(FillBox(box_id="b", amount=amount))


def test_two_are_written_by_one_step_with_their_places(world: World, pair: Pair) -> None:
    fill(world, 1, 5)
    assert pair.together.step() == dict.fromkeys(pair.each, True)
    fill(world, 2)
    assert pair.together.step() == dict.fromkeys(pair.each, True)

    assert (shown(world.views), pair.largest()) == ({"b": (8, 3)}, {"b": 5})
    assert pair.places() == {"boxes": world.log.head(), "largest": world.log.head()}
    assert [one.position for one in pair.each] == [world.log.head()] * 2
    assert pair.together.step() == dict.fromkeys(pair.each, False)


def test_events_that_one_does_not_want_move_it_on_with_the_others(world: World, pair: Pair) -> None:
    fill(world, 1)
    pair.step()
    world.execute(EmptyBox(box_id="b", amount=1))

    assert pair.together.step() == dict.fromkeys(pair.each, True)

    assert [one.position for one in pair.each] == [world.log.head()] * 2
    assert pair.places() == {"boxes": world.log.head(), "largest": world.log.head() - 1}
    assert (shown(world.views), pair.largest()) == ({}, {"b": 1})


def test_what_is_shown_is_told_by_the_engine_whatever_comes_after_it(tmp_path: Path) -> None:
    """The log has more for whoever looks a second time: what was shown before must not be lost."""
    awaited = replace(projection(), awaited=(BoxFilled,))
    second = Projection("largest", 1, LARGEST, (BoxFilled,), fold_largest)
    world = World(tmp_path, [box_service(projections=(awaited, second))])
    told: list[str] = []
    report = world.assembly.engine._progress.report

    def listen(positions: Mapping[str, int], streams: Iterable[str] = ()) -> None:
        told.extend(streams)
        report(positions, streams)

    world.assembly.engine._progress.report = listen  # type: ignore[method-assign]
    shown_by = world.consumer("boxes")
    fill(world, 1)
    shown_by.step()
    world.execute(EmptyBox(box_id="b", amount=1))
    shown_by.step()

    world.settle()

    assert told == ["box-b"]
    world.close()


@pytest.mark.parametrize(("at", "kept"), [("checkpoint.before", False), ("checkpoint.after", True)])
def test_a_crash_keeps_both_or_neither(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch, at: str, *, kept: bool
) -> None:
    def reach(reached: str) -> None:
        if reached == at:
            raise Crash

    fill(world, 1)
    pair.step()
    fill(world, 2)
    monkeypatch.setattr(projections.failpoints, "reach", reach)
    with pytest.raises(Crash):
        pair.together.step()
    monkeypatch.undo()
    expected = ({"b": (3, 2)}, {"b": 2}) if kept else ({"b": (1, 1)}, {"b": 1})
    assert (shown(world.views), pair.largest()) == expected

    Pair(world).step()

    assert (shown(world.views), pair.largest()) == ({"b": (3, 2)}, {"b": 2})


def test_one_that_cannot_deal_with_an_event_stops_alone(world: World, pair: Pair) -> None:
    fill(world, 1)
    pair.step()
    fill(world, 13, 2)
    pair.step()
    fill(world, 4)
    pair.step()

    assert (shown(world.views), pair.largest()) == ({"b": (20, 4)}, {"b": 1})
    assert [one.failure for one in pair.each] == [None, "ValueError: thirteen"]
    places = pair.places()
    assert (places["boxes"], places["largest"]) == (world.log.head(), world.log.head() - 3)


def test_where_another_runner_moved_one_of_them_nothing_is_doubled(
    world: World, pair: Pair
) -> None:
    fill(world, 1)
    pair.step()
    fill(world, 2)
    other = Pair(world)
    other.each[0].step()

    assert pair.together.step() == {}
    pair.step()

    assert (shown(world.views), pair.largest()) == ({"b": (3, 2)}, {"b": 2})
    assert pair.places() == {"boxes": world.log.head(), "largest": world.log.head()}


def test_one_that_lags_catches_up_alone(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "_MOST_EVENTS", 2)
    fill(world, 1, 2, 3)

    assert pair.together.step() == {}
    pair.step()

    assert (shown(world.views), pair.largest()) == ({"b": (6, 3)}, {"b": 3})

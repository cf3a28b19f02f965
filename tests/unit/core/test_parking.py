"""What fails is put aside with its stream, in order, until it works or an operator decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.application import Order
from shared.consumers import parking, policies
from shared.consumers.policies import PolicyConsumer
from shared.happened import Happened
from shared.runtime import Runtime
from tests.support.boxes import EmptyBox, box_service, note_it, noting
from tests.support.noting import (
    POLICY,
    Crash,
    Moody,
    die_before_the_checkpoint,
    fill,
    notes,
    parked,
    seen,
)
from tests.support.worlds import World


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def world(tmp_path: Path, moody: Moody) -> Iterator[World]:
    made = World(tmp_path, [box_service(policy=noting(moody))])
    yield made
    made.close()


def test_a_failing_event_waits_with_its_stream_while_others_go_on(
    world: World, moody: Moody
) -> None:
    moody.failing = {"bad"}
    first, good, second, third = fill(world, "bad", "good", "bad", "bad")

    world.settle()

    assert notes(world) == seen(good)
    assert parked(world) == [(first, "retrying", 1), (second, "waiting", 0), (third, "waiting", 0)]
    assert world.consumer(POLICY).position == world.log.head()
    assert world.consumer(POLICY).failure is None


def test_later_events_of_a_parked_stream_queue_up_behind_it(world: World, moody: Moody) -> None:
    moody.failing = {"bad"}
    fill(world, "bad")
    world.settle()
    moody.tries.clear()
    (_, good) = fill(world, "bad", "good")

    world.settle()

    assert moody.tries == ["good"]
    assert notes(world) == seen(good)
    assert [status for _, status, _ in parked(world)] == ["retrying", "waiting"]


def test_what_was_parked_is_answered_in_order_once_it_works(world: World, moody: Moody) -> None:
    moody.failing = {"bad"}
    positions = fill(world, "bad", "bad", "bad")
    world.settle()
    moody.failing = set()
    world.settle()
    assert notes(world) == []  # Its turn comes after a second.

    world.machine.forward(seconds=1)
    world.settle()

    assert notes(world) == seen(*positions)
    assert parked(world) == []
    (after,) = fill(world, "bad")
    world.settle()
    assert notes(world) == seen(*positions, after)


def test_tries_come_at_growing_intervals_and_end_with_an_operator(
    world: World, moody: Moody
) -> None:
    moody.failing = {"bad"}
    (position,) = fill(world, "bad")
    world.settle()
    tries = []
    for pause in parking.BACK_OFF:
        moody.tries.clear()
        world.machine.forward(seconds=pause.total_seconds() - 0.1)
        world.settle()
        assert moody.tries == [], "too early"
        world.machine.forward(seconds=0.1)
        world.settle()
        tries += moody.tries

    assert tries == ["bad"] * len(parking.BACK_OFF)
    assert parked(world) == [(position, "parked", len(parking.BACK_OFF) + 1)]
    world.machine.forward(days=1)
    world.settle()
    assert parked(world) == [(position, "parked", len(parking.BACK_OFF) + 1)]


def test_a_clock_that_is_put_right_makes_nothing_wait_for_what_it_was_ahead(
    world: World, moody: Moody
) -> None:
    moody.failing = {"bad"}
    fill(world, "bad")
    world.settle()
    moody.failing = set()
    world.machine.forward(hours=-1)
    world.settle()

    assert parked(world) == []


def until_parked(world: World) -> None:
    world.settle()
    for pause in parking.BACK_OFF:
        world.machine.forward(seconds=pause.total_seconds())
        world.settle()


def operator_retries(world: World, position: int) -> bool:
    with world.state.write() as connection:
        return parking.retry(connection, POLICY, position, world.machine.now())


def test_an_operator_has_it_tried_again(world: World, moody: Moody) -> None:
    moody.failing = {"bad"}
    positions = fill(world, "bad", "bad")
    until_parked(world)
    moody.failing = set()

    assert operator_retries(world, positions[0])
    assert not operator_retries(world, 12345)
    world.settle()

    assert notes(world) == seen(*positions)
    assert parked(world) == []


def test_an_operator_drops_it_and_the_rest_goes_on(world: World, moody: Moody) -> None:
    moody.failing = {"bad"}
    first, second = fill(world, "bad", "bad")
    until_parked(world)
    moody.failing = set()
    with world.state.write() as connection:
        parking.handled(connection, POLICY, first)
    world.settle()
    (third,) = fill(world, "bad")
    world.settle()

    assert notes(world) == seen(second, third)
    assert parked(world) == []


def test_parked_events_survive_a_restart(world: World, moody: Moody) -> None:
    moody.failing = {"bad"}
    positions = fill(world, "bad")
    world.settle()
    again = world.restart()
    positions += fill(again, "bad")
    again.settle()
    moody.failing = set()
    again.machine.forward(seconds=1)
    again.settle()

    assert notes(again) == seen(*positions)
    again.close()


def test_a_failing_process_parks_its_event_only(tmp_path: Path) -> None:
    def crash(_runtime: Runtime, order: Order) -> None:
        if order.command.box_id == "bad":
            raise ValueError("no")

    def react(happened: Happened) -> Sequence[Any]:
        return [EmptyBox(box_id=happened.message.box_id, amount=1), *note_it(happened)]

    world = World(tmp_path, [box_service(policy=noting(react), processes={EmptyBox: crash})])
    bad, good = fill(world, "bad", "good")
    world.settle()

    assert notes(world) == seen(good)
    assert parked(world) == [(bad, "retrying", 1)]
    world.close()


def test_what_is_parked_names_no_contents(world: World, moody: Moody) -> None:
    moody.failing = {"bad"}
    fill(world, "bad")
    world.settle()
    with world.state.read() as connection:
        (row,) = parking.listed(connection)

    assert (row["consumer"], row["stream"], row["type"]) == (POLICY, "box-bad", "BoxFilled")
    assert row["error"] == "ValueError: no to bad"
    assert set(row) == {column.name for column in parking.parked.columns}


moves = st.lists(
    st.sampled_from(["fill a", "fill b", "fail a", "mend a", "step", "wait", "crash", "restart"]),
    max_size=25,
)


@settings(
    print_blob=True, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(moves=moves)
def test_whatever_happens_every_event_is_answered_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    moody = Moody()
    world = World(tmp_path_factory.mktemp("world"), [box_service(policy=noting(moody))])
    filled: dict[str, list[int]] = {"a": [], "b": []}
    for move in moves:
        what, _, box_id = move.partition(" ")
        match what:
            case "fill":
                filled[box_id] += fill(world, box_id)
            case "fail":
                moody.failing = {box_id}
            case "mend":
                moody.failing = set()
            case "step":
                world.consumer(POLICY).step()
            case "wait":
                world.machine.forward(seconds=2)
            case "crash":
                crash_before_the_checkpoint(world)
            case _:
                world = world.restart()
    moody.failing = set()
    world.machine.forward(hours=1)
    world.settle()

    assert {box_id: notes(world, box_id) for box_id in filled} == {
        box_id: seen(*positions) for box_id, positions in filled.items()
    } or any(status == "parked" for _, status, _ in parked(world))
    world.close()


def crash_before_the_checkpoint(world: World) -> None:
    consumer = world.consumer(POLICY)
    assert isinstance(consumer, PolicyConsumer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policies.failpoints, "reach", die_before_the_checkpoint)
        try:
            consumer.step()
        except Crash:
            consumer._place = None  # What a new process would know.

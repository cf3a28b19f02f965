"""Policies: events become commands once, in order; what fails is put aside with its stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shared.application import Order
from shared.consumers import parking, policies
from shared.consumers.policies import NotYetError, PolicyConsumer
from shared.errors import Broken
from shared.happened import Happened
from shared.messages import EVENTS
from shared.platform import CommandRefused
from shared.refusals import refusal
from shared.runtime import Runtime
from tests.support.boxes import (
    BoxNoted,
    EmptyBox,
    FillBox,
    NoteBox,
    box_service,
    note_it,
    noting,
)
from tests.support.worlds import World

POLICY = "policy:boxes"


class Crash(BaseException):
    """The process dies here."""


def die_before_the_checkpoint(place: str) -> None:
    if place == "checkpoint.before":
        raise Crash


class Moody:
    """A reaction that fails for the boxes that are named, as long as they are."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.tries: list[str] = []

    def __call__(self, happened: Happened) -> Sequence[Any]:
        self.tries.append(happened.message.box_id)
        if happened.message.box_id in self.failing:
            raise ValueError(f"no to {happened.message.box_id}")
        return note_it(happened)


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def world(tmp_path: Path, moody: Moody) -> Iterator[World]:
    made = World(tmp_path, [box_service(policy=noting(moody))])
    yield made
    made.close()


def fill(world: World, *boxes: str) -> list[int]:
    return [world.execute(FillBox(box_id=box_id, amount=1)).position for box_id in boxes]


def notes(world: World, box_id: str | None = None) -> list[str]:
    return [n.text for n in world.messages(BoxNoted) if box_id in {None, n.box_id}]


def seen(*positions: int) -> list[str]:
    return [f"seen {position}" for position in positions]


def parked(world: World) -> list[tuple[int, str, int]]:
    with world.state.read() as connection:
        return [(p["position"], p["status"], p["attempts"]) for p in parking.listed(connection)]


def test_an_event_becomes_a_command_once(world: World) -> None:
    first, second = fill(world, "a", "b")

    world.settle()
    world.settle()

    assert notes(world) == seen(first, second)


def test_the_command_names_its_cause(world: World) -> None:
    fill(world, "a")
    world.settle()

    cause, effect = world.happened()[1:]
    assert effect.meta.causation_id == cause.id
    assert effect.meta.correlation_id == cause.meta.correlation_id
    assert effect.meta.actor == POLICY


def test_a_restart_goes_on_where_it_was(world: World, moody: Moody) -> None:
    fill(world, "a")
    world.settle()
    again = world.restart()
    (second,) = fill(again, "b")
    moody.tries.clear()

    again.settle()

    assert moody.tries == ["b"]
    assert notes(again)[-1:] == seen(second)
    again.close()


def test_a_crash_before_the_checkpoint_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions = fill(world, "a", "b", "a")

    monkeypatch.setattr(policies.failpoints, "reach", die_before_the_checkpoint)
    with pytest.raises(Crash):
        world.settle()
    monkeypatch.undo()
    assert len(notes(world)) == 3

    again = world.restart()
    again.settle()

    assert sorted(notes(again)) == sorted(seen(*positions))
    again.close()


def test_losing_the_checkpoint_doubles_nothing(world: World) -> None:
    positions = fill(world, "a", "b")
    world.settle()
    world.close()
    for file in world.folder.glob("state.db*"):
        file.unlink()

    again = World(world.folder, [box_service(policy=noting())], machine=world.machine)
    again.settle()

    assert notes(again) == seen(*positions)
    again.close()


def test_two_runners_of_one_policy_double_nothing(world: World) -> None:
    runners = [PolicyConsumer("boxes", noting(), world.feed, world.runtime) for _ in range(2)]
    positions: list[int] = []
    for n in range(6):
        positions += fill(world, "a", "b")
        runners[n % 2].step()
    while any(runner.step() for runner in runners):
        pass

    assert sorted(notes(world)) == sorted(seen(*positions))
    assert {runner.position for runner in runners} == {world.log.head()}


# ── In order ──────────────────────────────────────────────────────────────────────────────────────


def test_commands_of_one_event_run_in_the_order_named(tmp_path: Path) -> None:
    def react(happened: Happened) -> Sequence[Any]:
        box_id = happened.message.box_id
        return [
            NoteBox(box_id=box_id, text="1"),
            NoteBox(box_id=box_id, text="2"),
            EmptyBox(box_id=box_id, amount=1),
            NoteBox(box_id=box_id, text="3"),
        ]

    world = World(tmp_path, [box_service(policy=noting(react))])
    fill(world, "a")
    world.settle()

    recorded = [e.type for e in world.happened()[2:]]
    assert recorded == ["BoxNoted", "BoxNoted", "BoxEmptied", "BoxNoted"]
    assert notes(world) == ["1", "2", "3"]
    world.close()


def test_an_event_is_answered_wholly_before_the_next_one_of_its_stream(tmp_path: Path) -> None:
    """Also when both come in one batch: the second answer may undo what the first one did."""

    def slow(runtime: Runtime, order: Order) -> None:
        note = NoteBox(box_id=order.command.box_id, text="slow")
        runtime.application.execute(order.sibling(note, "note"))

    def react(happened: Happened) -> Sequence[Any]:
        if happened.message.amount == 1:  # A process, then a command.
            return [
                EmptyBox(box_id=happened.message.box_id, amount=0),
                NoteBox(box_id=happened.message.box_id, text="after slow"),
            ]
        return [NoteBox(box_id=happened.message.box_id, text="quick")]

    world = World(tmp_path, [box_service(policy=noting(react), processes={EmptyBox: slow})])
    world.execute(FillBox(box_id="a", amount=1))
    world.execute(FillBox(box_id="a", amount=2))
    world.settle()

    assert notes(world) == ["slow", "after slow", "quick"]
    world.close()


def test_events_of_many_streams_are_answered_in_few_commits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, *(f"box{n}" for n in range(50)))
    batches: list[int] = []
    really = world.log.append_batch
    monkeypatch.setattr(
        world.log,
        "append_batch",
        lambda entries: (batches.append(len(entries)), really(entries))[1],
    )

    world.settle()

    assert batches == [50]


# ── Refused, not yet ──────────────────────────────────────────────────────────────────────────────


def test_a_refused_command_is_recorded_once_and_stops_nothing(tmp_path: Path) -> None:
    def react(happened: Happened) -> Sequence[Any]:
        return [EmptyBox(box_id=happened.message.box_id, amount=100), *note_it(happened)]

    world = World(tmp_path, [box_service(policy=noting(react))])
    positions = fill(world, "a", "b")
    world.settle()
    rewound = PolicyConsumer("rewound", noting(react), world.feed, world.runtime)
    rewound._service = "boxes"  # The same policy, begun anew: as after a lost checkpoint.
    while rewound.step():
        pass

    refused = world.messages(CommandRefused)
    assert [(r.service, r.command, r.code) for r in refused] == [
        ("boxes", "EmptyBox", "too_many_held")
    ] * 2
    assert notes(world) == seen(*positions)
    assert parked(world) == []
    world.close()


def test_a_process_that_refuses_is_recorded_like_a_command(tmp_path: Path) -> None:
    def refuse(_runtime: Runtime, _order: Order) -> None:
        raise refusal("number_gone")

    def react(happened: Happened) -> Sequence[Any]:
        return [EmptyBox(box_id=happened.message.box_id, amount=1), *note_it(happened)]

    world = World(tmp_path, [box_service(policy=noting(react), processes={EmptyBox: refuse})])
    positions = fill(world, "a")
    world.settle()

    assert [r.code for r in world.messages(CommandRefused)] == ["number_gone"]
    assert notes(world) == seen(*positions)
    assert parked(world) == []
    world.close()


def test_who_needs_a_view_that_is_behind_waits_without_parking(world: World, moody: Moody) -> None:
    ready: list[bool] = []

    def react(happened: Happened) -> Sequence[Any]:
        if not ready:
            raise NotYetError
        return note_it(happened)

    consumer = PolicyConsumer("waiting", noting(react), world.feed, world.runtime)
    positions = fill(world, "a", "b")
    assert not consumer.step()
    assert not consumer.step()

    ready.append(True)
    assert consumer.step()

    assert notes(world) == seen(*positions)
    assert parked(world) == []


# ── Parking ───────────────────────────────────────────────────────────────────────────────────────


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


# ── What is not one event's fault ─────────────────────────────────────────────────────────────────


def test_a_store_without_room_is_waited_for_and_parks_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions = fill(world, "a")

    def full(*_: object) -> None:
        raise refusal("storage_full")

    with monkeypatch.context() as patch:
        patch.setattr(world.log, "append_batch", full)
        with pytest.raises(Exception, match="storage_full"):
            world.consumer(POLICY).step()
    assert parked(world) == []

    world.settle()

    assert notes(world) == seen(*positions)


def test_an_event_of_a_newer_version_stops_the_policy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, "a")
    newer = replace(EVENTS["BoxFilled"], version=0)  # To this code, version 1 is from the future.
    world.application.codec._plain.clear()
    with monkeypatch.context() as patch:
        patch.setitem(EVENTS, "BoxFilled", newer)
        assert not world.consumer(POLICY).step()

    failure = world.consumer(POLICY).failure
    assert failure is not None
    assert failure.startswith("code_older_than_log")
    assert parked(world) == []
    assert notes(world) == []


@pytest.mark.parametrize("change", ["position = 99", "log_id = 'other'", "event_id = x'00'"])
def test_a_log_that_went_back_stops_the_policy(world: World, change: str) -> None:
    fill(world, "a")
    world.settle()
    with world.state.write() as connection:
        connection.execute(text(f"UPDATE checkpoint SET {change} WHERE consumer = '{POLICY}'"))
    again = world.restart()
    fill(again, "b")
    again.settle()

    assert "log_went_back" in str(again.consumer(POLICY).failure)
    assert len(notes(again)) == 1
    again.close()


def test_an_event_that_cannot_be_read_is_parked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = fill(world, "bad", "good")
    really = world.application.codec.decode

    def decode(name: str, version: int, payload: bytes, event_id: bytes) -> Any:
        if b'"bad"' in payload:
            raise ValueError("not readable")
        return really(name, version, payload, event_id)

    monkeypatch.setattr(world.application.codec, "decode", decode)
    world.consumer(POLICY).step()
    monkeypatch.undo()

    assert parked(world) == [(bad, "retrying", 1)]
    assert notes(world, "good") == seen(good)


# ── Any order ─────────────────────────────────────────────────────────────────────────────────────

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


def test_broken_is_not_parked_by_mistake() -> None:
    assert isinstance(refusal("code_older_than_log"), Broken)

"""Policies: events become commands once, in order; what fails is put aside with its stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shared.application import Order
from shared.consumers import policies
from shared.consumers.policies import NotYetError, PolicyConsumer
from shared.happened import Happened
from shared.messages import EVENTS
from shared.platform import CommandRefused
from shared.refusals import refusal
from shared.runtime import Runtime
from tests.support.boxes import (
    EmptyBox,
    FillBox,
    NoteBox,
    box_service,
    note_it,
    noting,
)
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


def test_a_runner_that_ends_stores_its_place_unless_another_one_did(world: World) -> None:
    one, two = (PolicyConsumer("boxes", noting(), world.feed, world.runtime) for _ in range(2))
    fill(world, "a")
    one.step()
    two.step()

    one.rest()
    two.rest()

    again = PolicyConsumer("boxes", noting(), world.feed, world.runtime)
    again.step()
    assert again.position == world.log.head()
    assert len(notes(world)) == 1


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


def test_two_runners_of_one_policy_put_an_event_aside_once(world: World, moody: Moody) -> None:
    moody.failing = {"a"}
    runners = [PolicyConsumer("boxes", noting(moody), world.feed, world.runtime) for _ in range(2)]
    for runner in runners:
        runner.step()
    (position,) = fill(world, "a")
    while any(runner.step() for runner in runners):
        pass

    assert [one[:2] for one in parked(world)] == [(position, "retrying")]
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

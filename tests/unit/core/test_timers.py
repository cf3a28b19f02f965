"""Timers: a view of what is due, fired once, in order, never too early."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.application import Order
from shared.consumers import timers as timer_module
from shared.consumers.policies import NotYetError
from shared.consumers.timers import Scheduler
from shared.happened import Happened
from shared.platform import CommandRefused
from shared.refusals import refusal
from shared.runtime import Runtime
from shared.spec import ClearTimer, ServiceSpec, SetTimer, Timers
from tests.support.boxes import BoxEmptied, BoxFilled, BoxNoted, EmptyBox, FillBox, NoteBox
from tests.support.boxes import box_service as boxes
from tests.support.worlds import START, World

MINUTE = timedelta(minutes=1)


def of(happened: Happened) -> Iterable[SetTimer | ClearTimer]:
    """A box that was filled is looked after so many minutes later, unless it is emptied first."""
    match happened.message:
        case BoxFilled(box_id=box_id, amount=minutes):
            return [SetTimer("look", box_id, happened.at + minutes * MINUTE)]
        case BoxEmptied(box_id=box_id):
            return [ClearTimer("look", box_id)]
        case _:
            return []


def fire(_name: str, key: str, due: datetime) -> NoteBox:
    return NoteBox(box_id=key, text=f"{(due - START) / MINUTE:g}")


def service(**more: Any) -> ServiceSpec:
    known = {"timers": Timers(events=(BoxFilled, BoxEmptied), of=of, fire=fire)}
    return boxes(**(known | more))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [service()])
    yield made
    made.close()


def fill(world: World, box_id: str, minutes: int) -> None:
    world.execute(FillBox(box_id=box_id, amount=minutes))


def fired(world: World) -> list[tuple[str, str]]:
    return [(note.box_id, note.text) for note in world.messages(BoxNoted)]


def scheduler(world: World) -> Scheduler:
    found = world.consumer("scheduler:boxes")
    assert isinstance(found, Scheduler)
    return found


def test_what_is_due_is_fired_once_and_not_before(world: World) -> None:
    fill(world, "a", 10)
    world.settle()
    world.machine.forward(minutes=10, microseconds=-1)
    world.settle()
    assert fired(world) == []

    world.machine.forward(microseconds=1)
    world.settle()
    world.machine.forward(days=1)
    world.settle()

    assert fired(world) == [("a", "10")]


def test_business_time_decides_and_not_machine_time(world: World) -> None:
    fill(world, "a", 10)
    world.settle()

    world.runtime.clock.learn(timedelta(minutes=10))
    world.settle()

    assert fired(world) == [("a", "10")]
    (note,) = world.happened(BoxNoted)
    assert note.at == START + 10 * MINUTE
    assert (note.meta.actor, note.meta.correlation_id) == ("timer:boxes", "req_1")


def test_what_was_cleared_does_not_fire(world: World) -> None:
    fill(world, "a", 10)
    fill(world, "b", 10)
    world.settle()
    world.execute(EmptyBox(box_id="a", amount=10))

    world.machine.forward(minutes=20)
    world.settle()

    assert fired(world) == [("b", "10")]


def test_a_timer_that_is_set_again_fires_at_its_new_time(world: World) -> None:
    fill(world, "a", 10)
    world.settle()
    fill(world, "a", 30)
    world.settle()
    world.machine.forward(minutes=20)
    world.settle()
    assert fired(world) == []

    world.machine.forward(minutes=10)
    world.settle()

    assert fired(world) == [("a", "30")]


def test_what_is_due_fires_in_the_order_of_the_due_instants(world: World) -> None:
    for box_id, minutes in [("a", 30), ("b", 10), ("c", 20), ("d", 10)]:
        fill(world, box_id, minutes)
    world.settle()

    world.machine.forward(minutes=60)
    world.settle()

    assert fired(world) == [("b", "10"), ("d", "10"), ("c", "20"), ("a", "30")]


def test_many_that_are_due_fire_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_module, "_AT_ONCE", 3)
    for n in range(8):
        fill(world, f"box{n}", n + 1)
    world.settle()
    world.machine.forward(minutes=60)

    assert [scheduler(world).step(), scheduler(world).step()] == [True, False]  # Behind its view.
    world.settle()

    assert fired(world) == [(f"box{n}", str(n + 1)) for n in range(8)]


def test_nothing_fires_while_the_view_is_behind(world: World) -> None:
    """What an event has already cleared must not fire because the view has not seen it yet."""
    fill(world, "a", 10)
    world.settle()
    world.machine.forward(minutes=10)
    world.execute(EmptyBox(box_id="a", amount=10))

    assert not scheduler(world).step()
    world.settle()

    assert fired(world) == []


def test_nothing_fires_while_the_view_stands_still(world: World) -> None:
    fill(world, "a", 10)
    world.settle()
    world.machine.forward(minutes=10)
    world.consumer("timers:boxes")._failure = "it failed"

    assert not scheduler(world).step()
    assert scheduler(world).failure == "it failed"


def test_a_rebuilt_view_fires_nothing_again(world: World) -> None:
    fill(world, "a", 10)
    fill(world, "b", 20)
    world.settle()
    world.machine.forward(minutes=10)
    world.settle()
    world.close()
    for file in world.folder.glob("views.db*"):
        file.unlink()

    again = World(world.folder, [service()], machine=world.machine)
    again.settle()
    again.machine.forward(minutes=10)
    again.settle()

    assert fired(again) == [("a", "10"), ("b", "20")]
    again.close()


def test_a_crash_between_firing_and_forgetting_fires_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, "a", 10)
    world.settle()
    world.machine.forward(minutes=10)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduler(world), "_forget", die)
    with pytest.raises(KeyboardInterrupt):
        scheduler(world).step()
    again = world.restart()
    again.settle()

    assert fired(again) == [("a", "10")]
    again.close()


def test_a_refused_command_is_recorded_once_and_the_timer_is_over(tmp_path: Path) -> None:
    def too_much(_name: str, key: str, _due: datetime) -> EmptyBox:
        return EmptyBox(box_id=key, amount=1000)

    world = World(tmp_path, [service(timers=Timers((BoxFilled,), of, too_much))])
    fill(world, "a", 10)
    world.settle()
    world.machine.forward(minutes=10)
    world.settle()

    assert [r.code for r in world.messages(CommandRefused)] == ["too_many_held"]
    assert scheduler(world).next_due() is None
    world.close()


def moody(world_boxes: set[str], error: Exception) -> ServiceSpec:
    """Timers whose commands fail for some boxes."""

    def look(runtime: Runtime, order: Order) -> None:
        box_id = order.command.box_id
        if box_id in world_boxes:
            raise error
        note = NoteBox(box_id=box_id, text="looked")
        runtime.application.execute(order.sibling(note, "note"))

    def fire_empty(_name: str, key: str, _due: datetime) -> EmptyBox:
        return EmptyBox(box_id=key, amount=1)

    timers = Timers((BoxFilled,), lambda h: [SetTimer("look", h.message.box_id, h.at)], fire_empty)
    return service(timers=timers, processes={EmptyBox: look})


def test_a_timer_that_fails_does_not_stop_the_others_and_is_tried_again(tmp_path: Path) -> None:
    bad = {"b"}
    world = World(tmp_path, [moody(bad, ValueError("no"))])
    for box_id in "abc":
        fill(world, box_id, 1)
    world.settle()
    assert fired(world) == [("a", "looked"), ("c", "looked")]

    bad.clear()
    world.settle()
    assert len(fired(world)) == 2, "its turn comes after a minute"
    world.machine.forward(minutes=1)
    world.settle()

    assert fired(world) == [("a", "looked"), ("c", "looked"), ("b", "looked")]
    world.close()


def test_failing_timers_do_not_fill_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer_module, "_AT_ONCE", 2)
    world = World(tmp_path, [moody({"a", "b", "c"}, ValueError("no"))])
    for box_id in "abcde":
        fill(world, box_id, 1)
    world.settle()

    assert fired(world) == [("d", "looked"), ("e", "looked")]
    world.close()


@pytest.mark.parametrize("error", [NotYetError(), refusal("storage_full")])
def test_what_is_nobodys_fault_is_waited_for(tmp_path: Path, error: Exception) -> None:
    bad = {"b"}
    world = World(tmp_path, [moody(bad, error)])
    fill(world, "b", 1)
    while world.consumer("timers:boxes").step():
        pass
    with contextlib.suppress(type(error)):
        assert not scheduler(world).step()
    assert fired(world) == []

    bad.clear()
    world.settle()

    assert fired(world) == [("b", "looked")]
    world.close()


def test_it_knows_what_is_due_next(world: World) -> None:
    world.settle()
    assert scheduler(world).next_due() is None
    fill(world, "a", 30)
    fill(world, "b", 10)
    world.settle()

    assert scheduler(world).next_due() == START + 10 * MINUTE
    assert scheduler(world).position == world.log.head()


def test_an_instant_of_another_zone_is_due_when_it_is(tmp_path: Path) -> None:
    def elsewhere(happened: Happened) -> Sequence[SetTimer]:
        due = (happened.at + 10 * MINUTE).astimezone(timezone(timedelta(hours=9)))
        return [SetTimer("look", happened.message.box_id, due)]

    world = World(tmp_path, [service(timers=Timers((BoxFilled,), elsewhere, fire))])
    fill(world, "a", 1)
    world.settle()
    assert scheduler(world).next_due() == START + 10 * MINUTE
    assert fired(world) == []

    world.machine.forward(minutes=10)
    world.settle()

    assert fired(world) == [("a", "10")]
    world.close()


moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["set", "clear"]), st.sampled_from("ab"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["wait"]), st.just(""), st.integers(1, 5)),
        st.tuples(st.sampled_from(["rebuild", "restart"]), st.just(""), st.just(0)),
    ),
    max_size=15,
)


@settings(
    print_blob=True, max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(moves=moves)
def test_timers_fire_exactly_when_a_plain_model_says(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str, int]]
) -> None:
    world = World(tmp_path_factory.mktemp("world"), [service()])
    due: dict[str, int] = {}
    expected: list[tuple[str, str]] = []
    now = 0
    for what, box_id, n in moves:
        match what:
            case "set":
                fill(world, box_id, n)
                due[box_id] = now + n
            case "clear" if world.application.load(boxes().aggregates[0], box_id).amount:
                world.execute(EmptyBox(box_id=box_id, amount=1))
                due.pop(box_id, None)
            case "wait":
                now += n
                world.machine.forward(minutes=n)
            case "rebuild":
                world.consumer("timers:boxes").rebuild()
            case "restart":
                world = world.restart()
        world.settle()
        over = sorted((at, box) for box, at in due.items() if at <= now)
        expected += [(box, str(at)) for at, box in over]
        due = {box: at for box, at in due.items() if at > now}

    assert fired(world) == expected
    world.close()

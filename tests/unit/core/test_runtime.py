"""What a service can reach: commands and processes, and waiting for views."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.application import Order, accepted
from shared.errors import Broken, Conflict, Refusal, Unavailable
from shared.eventlog import Entry
from shared.platform import (
    PLATFORM,
    AdvanceClock,
    ClockAdvanced,
    CommandRefused,
    InstallationStarted,
    StartInstallation,
)
from shared.refusals import refusal
from shared.runtime import Progress, Runtime
from shared.spec import Steps
from tests.contract.log_checks import until
from tests.support.boxes import BoxEmptied, BoxFilled, EmptyBox, FillBox, LabelBox, box_service
from tests.support.worlds import World, context, order


def label(runtime: Runtime, order: Order) -> None:
    if order.command.owner == "storage":
        raise refusal("storage_full")
    runtime.application.execute(order.sibling(FillBox(box_id=order.command.box_id, amount=1), "f"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [box_service(processes={LabelBox: label})])
    yield made
    made.close()


def labelled(owner: str = "z") -> LabelBox:
    return LabelBox(box_id="p", account_id="a", owner=owner)


def test_an_order_carries_who_asks_and_business_time(world: World) -> None:
    made = world.runtime.order(context(key="k", traceparent="00-1"), FillBox(box_id="b", amount=1))

    assert made.command_id == context(key="k").command_id()
    assert (made.actor, made.correlation_id, made.traceparent) == ("user:u_1", "req_1", "00-1")
    assert made.now == world.runtime.clock.now()


def test_a_command_answers_and_a_process_does_not(world: World) -> None:
    done = world.runtime.run(order(FillBox(box_id="b", amount=1)))

    assert done is not None
    assert done.events == (BoxFilled(box_id="b", amount=1),)
    assert world.runtime.run(order(labelled(), by="one")) is None
    assert world.runtime.run(order(labelled(), by="one")) is None
    assert len(world.messages(BoxFilled)) == 2


def test_somebody_who_waits_is_told_the_refusal(world: World) -> None:
    with pytest.raises(Conflict, match="too_many_held"):
        world.runtime.run(order(EmptyBox(box_id="b", amount=1)))
    assert world.messages(CommandRefused) == []


def test_a_refusal_nobody_waits_for_is_recorded_and_the_rest_is_done(world: World) -> None:
    orders = [
        order(EmptyBox(box_id="b", amount=1), by="refused"),
        order(FillBox(box_id="c", amount=1), by="done"),
    ]
    for _ in range(2):
        world.runtime.run_many("boxes", orders)

    (refused,) = world.messages(CommandRefused)
    assert (refused.service, refused.command, refused.code) == (
        "boxes",
        "EmptyBox",
        "too_many_held",
    )
    assert len(world.messages(BoxFilled)) == 1


def fill_and_empty(_runtime: Runtime, order: Order) -> Steps:
    box_id, greedy = order.command.box_id, order.command.owner == "greedy"
    (filled,) = accepted((yield [order.sibling(FillBox(box_id=box_id, amount=1), "fill")]))
    yield []
    amount = filled.state.amount + greedy
    accepted((yield [order.sibling(EmptyBox(box_id=box_id, amount=amount), "empty")]))


@pytest.fixture
def stepping(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "stepping", [box_service(processes={LabelBox: fill_and_empty})])
    yield made
    made.close()


def three(second: str = "modest") -> list[Order]:
    owners = {"b": "modest", "c": second, "d": "modest"}
    return [
        order(LabelBox(box_id=b, account_id="a", owner=owner), by=b) for b, owner in owners.items()
    ]


def test_processes_that_run_together_share_their_commits(
    stepping: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, together = stepping.runtime.application.log, []

    def append(entries: Sequence[Entry], append: Any = log.append_batch) -> Any:
        together.append([entry.stream for entry in entries])
        return append(entries)

    monkeypatch.setattr(log, "append_batch", append)
    stepping.runtime.run_many("boxes", three())

    assert together == [["box-b", "box-c", "box-d"]] * 2


def test_a_process_that_is_refused_does_not_stop_those_beside_it(stepping: World) -> None:
    for _ in range(2):
        stepping.runtime.run_many("boxes", three("greedy"))

    (refused,) = stepping.messages(CommandRefused)
    assert (refused.command, refused.code) == ("LabelBox", "too_many_held")
    assert [one.box_id for one in stepping.messages(BoxEmptied)] == ["b", "d"]


def test_somebody_who_waits_for_a_process_is_told_its_refusal(stepping: World) -> None:
    with pytest.raises(Conflict, match="too_many_held"):
        stepping.runtime.run(three("greedy")[1])
    assert stepping.messages(BoxFilled) == [BoxFilled(box_id="c", amount=1)]


def test_what_passes_by_itself_is_raised_and_not_recorded(world: World) -> None:
    with pytest.raises(Unavailable, match="storage_full"):
        world.runtime.run_many("boxes", [order(labelled("storage"))])

    assert world.messages(CommandRefused) == []


# ── The installation ──────────────────────────────────────────────────────────────────────────────


def test_the_first_event_of_a_log_says_its_mode(world: World) -> None:
    assert [e.type for e in world.happened()] == ["InstallationStarted"]
    again = world.restart()
    assert len(again.happened()) == 1
    with pytest.raises(Broken, match="log_of_other_mode"):
        again.execute(StartInstallation(mode="live"))


def test_the_clock_is_advanced_forward_only_and_for_good(world: World) -> None:
    for seconds in (60, 30, 60):
        world.execute(AdvanceClock(offset_seconds=seconds))

    assert world.messages(ClockAdvanced) == [ClockAdvanced(offset_seconds=60)]
    again = world.restart()
    assert (again.runtime.clock.now() - again.machine.now()).total_seconds() == 60
    again.close()


def test_the_clock_of_a_live_installation_is_never_advanced() -> None:
    live = PLATFORM.fold(PLATFORM.initial, [InstallationStarted(mode="live")])

    with pytest.raises(Refusal, match="route_unknown"):
        PLATFORM.decide(AdvanceClock(offset_seconds=60), live)


# ── Progress ──────────────────────────────────────────────────────────────────────────────────────


def test_the_slowest_view_counts() -> None:
    progress = Progress()
    progress.report({"a": 5, "b": 3})

    assert progress.position(["a", "b"]) == 3
    assert progress.position(["a", "never heard of"]) == 0
    assert progress.wait_for(["a"], 5, seconds=0)
    assert not progress.wait_for(["a", "b"], 5, seconds=0)


def in_thread(progress: Progress, wait: object) -> tuple[threading.Thread, list[bool]]:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(wait()))
    thread.start()
    return thread, answers


def test_who_waits_for_a_view_is_woken_when_it_is_there() -> None:
    progress = Progress()
    thread, answers = in_thread(progress, lambda: progress.wait_for(["a"], 2, seconds=5))

    progress.report({"a": 1})
    progress.report({"a": 2})
    thread.join(5)

    assert answers == [True]


def test_who_waits_for_a_stream_is_woken_by_its_events() -> None:
    progress = Progress()
    looks: list[int] = []

    def holds() -> bool:
        looks.append(1)
        return progress.position(["a"]) == 3

    thread, answers = in_thread(progress, lambda: progress.wait_on("order-1", holds, seconds=5))
    until(lambda: looks)
    for position, stream in ((1, "order-2"), (2, "order-2"), (3, "order-1")):
        progress.report({"a": position}, [stream])
    thread.join(5)

    assert answers == [True]
    assert len(looks) <= 3, "others' events do not wake it"
    assert progress._watched == {}


def test_waiting_ends() -> None:
    progress = Progress()

    assert not progress.wait_on("order-1", lambda: False, seconds=0.01)
    assert progress.wait_on("order-1", lambda: True, seconds=0)
    assert progress._watched == {}

"""The engine: steps its consumers in turn; one that fails does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.consumers.engine import Bell, Engine
from shared.consumers.policies import NotYetError
from shared.happened import Happened
from shared.refusals import refusal
from shared.runtime import Progress
from tests.support.boxes import (
    BoxNoted,
    FillBox,
    NoteBox,
    box_service,
    note_it,
    noting,
    projection,
    shown,
)
from tests.support.worlds import World, context


class Counter:
    """A consumer with so much work."""

    failure: str | None = None

    def __init__(self, name: str, work: int, then: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.left = work
        self.position = 0
        self.steps = 0
        self._then = then

    def step(self) -> bool:
        self.steps += 1
        if not self.left:
            return False
        self._then()
        self.left -= 1
        self.position += 1
        return True


def engine_of(*consumers: Counter) -> tuple[Engine, Progress]:
    progress = Progress()
    return Engine(consumers, progress, Bell()), progress


def test_consumers_are_stepped_in_turn_until_none_has_work() -> None:
    consumers = [Counter("a", 3), Counter("b", 1), Counter("c", 0)]
    engine, progress = engine_of(*consumers)

    engine.settle()

    assert [c.left for c in consumers] == [0, 0, 0]
    assert len({c.steps for c in consumers}) == 1
    assert progress.position(["a"]) == 3
    assert progress.position(["a", "b"]) == 1
    assert engine.settle() == 0


def test_consumers_that_keep_each_other_busy_are_found_out() -> None:
    engine, _ = engine_of(Counter("a", 10**9))

    with pytest.raises(RuntimeError, match="did not come to rest in 50 rounds"):
        engine.settle(most=50)


def test_the_first_step_tells_where_the_views_are(tmp_path: Path) -> None:
    """After a restart nobody may have work, and yet somebody waits to hear where the views are."""
    world = World(tmp_path, [box_service(projections=(projection(),))])
    answer = world.execute(FillBox(box_id="b", amount=1))
    world.settle()
    again = world.restart()
    assert again.runtime.progress.position(["boxes"]) == 0

    again.engine.step()

    assert again.runtime.fresh(context(at_least=answer.position), "boxes")
    again.close()


def test_the_first_step_tells_it_also_when_nobody_has_work() -> None:
    idle = Counter("a", 0)
    idle.position = 7
    engine, progress = engine_of(idle)

    engine.step()

    assert progress.position(["a"]) == 7
    assert not engine.step()


def test_a_policy_that_waits_for_a_view_gets_its_turn_after_a_restart(tmp_path: Path) -> None:
    worlds: list[World] = []

    def react(happened: Happened) -> list[NoteBox]:
        if worlds[-1].runtime.progress.position(["boxes"]) < happened.position:
            raise NotYetError
        return list(note_it(happened))

    service = box_service(projections=(projection(),), policy=noting(react))
    worlds.append(World(tmp_path, [service]))
    worlds[-1].execute(FillBox(box_id="b", amount=1))
    while worlds[-1].consumer("boxes").step():
        pass
    worlds.append(worlds[-1].restart())

    worlds[-1].settle()

    assert len(worlds[-1].messages(BoxNoted)) == 1
    worlds[-1].close()


# ── The thread ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def running() -> Iterator[list[Engine]]:
    engines: list[Engine] = []
    yield engines
    for engine in engines:
        engine.stop(5)
        assert engine._thread is not None
        assert not engine._thread.is_alive()


@pytest.mark.parametrize("error", [ValueError("broken"), refusal("busy"), refusal("log_has_hole")])
def test_one_that_fails_does_not_stop_the_others(running: list[Engine], error: Exception) -> None:
    done = threading.Event()

    def fail() -> None:
        raise error

    def nearly_done() -> None:
        if healthy.left == 1:
            done.set()

    failing, healthy = Counter("failing", 1, fail), Counter("healthy", 50, nearly_done)
    engine, _ = engine_of(failing, healthy)
    running.append(engine)

    engine.start()

    assert done.wait(5)
    assert failing.left == 1
    assert failing.steps < healthy.steps, "it is left alone for a while"


def test_the_bell_wakes_it(running: list[Engine]) -> None:
    bell, worked = Bell(), threading.Event()
    consumer = Counter("a", 0, worked.set)
    engine = Engine([consumer], Progress(), bell)
    running.append(engine)
    engine.start()

    consumer.left = 1
    bell.ring()

    assert worked.wait(5)


def test_a_bell_that_rang_before_the_wait_is_heard() -> None:
    bell = Bell()
    bell.ring()
    waited = threading.Thread(target=bell.wait, args=(60,))
    waited.start()
    waited.join(5)

    assert not waited.is_alive()


def test_an_installation_that_runs_shows_what_was_commanded(
    tmp_path: Path, running: list[Engine]
) -> None:
    world = World(tmp_path, [box_service(projections=(projection(),), policy=noting())])
    world.engine.start()
    running.append(world.engine)

    answer = world.execute(FillBox(box_id="b", amount=7))

    assert world.runtime.fresh(context(at_least=answer.position), "boxes")
    assert shown(world.views) == {"b": (7, 1)}
    world.engine.stop(5)
    world.close()


def test_it_makes_work_in_its_own_thread_and_only_when_nobody_has_any() -> None:
    consumer, bell = Counter("a", 2), Bell()
    found: list[tuple[int, str]] = []
    done = threading.Event()

    def make() -> bool:
        found.append((consumer.left, threading.current_thread().name))
        if len(found) == 1:
            consumer.left += 1
            return True
        done.set()
        return False

    engine = Engine([consumer], Progress(), bell, when_idle=make)
    engine.start()
    assert done.wait(5)
    engine.stop(1)

    assert found[:2] == [(0, "engine"), (0, "engine")]
    assert consumer.position == 3


def test_idle_work_that_fails_does_not_end_the_loop() -> None:
    tried = threading.Semaphore(0)

    def fail() -> bool:
        tried.release()
        raise RuntimeError("broken")

    engine = Engine([Counter("a", 0)], Progress(), Bell(), lambda: 0.01, fail)
    engine.start()
    assert tried.acquire(timeout=5)
    assert tried.acquire(timeout=5)
    engine.stop(1)


@pytest.mark.parametrize(
    ("pace", "worked", "between"),
    [(0.01, 0.001, 0.01), (0.01, 0.02, 0.04), (0.01, 1.0, 1.04), (0.2, 0.05, 0.2), (0.0, 1.0, 0.0)],
)
def test_it_rests_as_long_as_it_worked_unless_there_is_much_to_catch_up_with(
    pace: float, worked: float, between: float
) -> None:
    engine = Engine([], Progress(), Bell(), pace=lambda: pace)

    assert engine._between(worked) == pytest.approx(between)

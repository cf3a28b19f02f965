"""Effects: calls to the outside, one per key at a time, looked up when in doubt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from shared.consumers.effects import Attempt
from shared.refusals import refusal
from tests.support.boxes import NoteBox
from tests.support.post import Post, fill, notes, rows, service, table, take_in
from tests.support.worlds import World


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def world(tmp_path: Path, post: Post) -> Iterator[World]:
    made = World(tmp_path, [service(post)])
    yield made
    made.close()


def test_a_request_is_carried_out_once_and_its_outcome_recorded(world: World, post: Post) -> None:
    fill(world, "a", "b")

    world.settle()
    world.settle()

    assert post.book == ["a/1", "b/1"]
    assert notes(world) == ["sent a/1", "sent b/1"]
    assert post.attempts == [Attempt(1, False, "a/1"), Attempt(1, False, "b/1")]


def test_finished_work_leaves_no_row(world: World) -> None:
    fill(world, "a")
    take_in(world)
    assert rows(world) == [("a/1", 0, False)]

    world.settle()

    assert rows(world) == []


def test_the_key_of_the_provider_is_stored_before_the_call(world: World, post: Post) -> None:
    stored: list[Any] = []
    post.before = lambda _: stored.extend(rows(world))
    fill(world, "a")

    world.settle()

    assert stored == [("a/1", 1, False)]


def test_whoever_has_finished_one_is_at_the_next_in_the_same_moment(
    world: World, post: Post
) -> None:
    fill(world, "a", "b")
    take_in(world)

    assert world.worker("boxes", 0).step()
    assert rows(world) == [("b/1", 1, False)]
    assert not world.worker("boxes", 1).step(), "it is the first one's already"
    assert world.worker("boxes", 0).step()
    assert not world.worker("boxes", 0).step()

    assert post.attempts == [Attempt(1, False, "a/1"), Attempt(1, False, "b/1")]


def test_what_was_claimed_and_not_begun_is_given_back_at_the_end(world: World, post: Post) -> None:
    fill(world, "a", "b")
    take_in(world)
    world.worker("boxes", 0).step()

    world.worker("boxes", 0).rest()

    assert rows(world) == [("b/1", 0, False)]
    assert world.worker("boxes", 1).step()
    assert post.attempts[1:] == [Attempt(1, False, "b/1")]


# ── One at a time per key ─────────────────────────────────────────────────────────────────────────


def test_requests_of_one_key_run_one_after_the_other(world: World, post: Post) -> None:
    fill(world, "a", "a", "b")
    take_in(world)
    running: list[str] = []

    def meanwhile(box_id: str) -> None:
        running.append(box_id)
        if box_id == "a" and len(running) == 1:
            while world.worker("boxes", 1).step():
                pass
            assert running == ["a", "b"], "the second of a waits, b does not"

    post.before = meanwhile
    world.settle()

    assert running == ["a", "b", "a"]


def test_workers_of_two_processes_never_carry_out_the_same_row(world: World, post: Post) -> None:
    fill(world, *(f"box{n}" for n in range(12)))
    take_in(world)
    gate = threading.Barrier(2, timeout=30)

    def work(n: int) -> None:
        gate.wait()
        while world.worker("boxes", n).step():
            pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(post.book) == sorted(f"box{n}/1" for n in range(12))


# ── Trouble ───────────────────────────────────────────────────────────────────────────────────────


def test_what_was_not_sent_is_simply_tried_again(world: World, post: Post) -> None:
    post.troubles = [post.unreachable]
    fill(world, "a")
    world.settle()
    assert post.book == []
    assert rows(world) == [("a/1", 1, False)]

    world.machine.forward(seconds=1)
    world.settle()

    assert post.book == ["a/1"]
    assert post.attempts[-1] == Attempt(2, False, "a/1")
    assert notes(world) == ["sent a/1"]


def test_what_may_have_been_sent_is_looked_up_first(world: World, post: Post) -> None:
    post.troubles = [post.answer_lost]
    fill(world, "a")
    world.settle()
    assert rows(world) == [("a/1", 1, True)]

    world.machine.forward(seconds=1)
    world.settle()

    assert post.attempts[-1] == Attempt(2, True, "a/1")
    assert post.book == ["a/1"]
    assert notes(world) == ["unknown", "sent a/1"]


def test_an_unknown_outcome_is_recorded_once(world: World, post: Post) -> None:
    post.troubles = [post.request_lost] * 3
    fill(world, "a")
    for _ in range(4):
        world.settle()
        world.machine.forward(seconds=10)
    world.settle()

    assert notes(world) == ["unknown", "sent a/1"]
    assert [attempt.maybe_sent for attempt in post.attempts] == [False, True, True, True]


def test_doubt_stays_whatever_comes_after(world: World, post: Post) -> None:
    post.troubles = [post.answer_lost, post.unreachable]
    fill(world, "a")
    for _ in range(3):
        world.settle()
        world.machine.forward(seconds=10)
    world.settle()

    assert [attempt.maybe_sent for attempt in post.attempts] == [False, True, True]
    assert post.book == ["a/1"]


def test_a_mistake_of_our_program_leaves_doubt_and_stops_no_others(
    world: World, post: Post
) -> None:
    post.troubles = [post.nonsense]
    fill(world, "a", "b")
    world.settle()

    assert post.book == ["b/1"]
    assert rows(world) == [("a/1", 1, True)]
    with world.state.read() as connection:
        error = connection.execute(select(table.c.error)).scalar_one()
    assert error == "ZeroDivisionError: "


def test_tries_come_at_growing_intervals(world: World, post: Post) -> None:
    fill(world, "a")
    for pause in (1, 2, 5, 15, 60, 300, 600):
        post.troubles = [post.unreachable]
        world.settle()
        tries = len(post.attempts)
        world.machine.forward(seconds=pause - 0.1)
        world.settle()
        assert len(post.attempts) == tries, f"earlier than {pause} s"
        world.machine.forward(seconds=0.1)
    world.settle()

    assert post.book == ["a/1"]
    assert len(post.attempts) == 8


@pytest.mark.parametrize("minutes", [60, 24 * 60])
def test_a_clock_that_is_put_right_makes_nothing_wait_for_what_it_was_ahead(
    world: World, post: Post, minutes: int
) -> None:
    post.troubles = [post.unreachable]
    fill(world, "a")
    world.settle()
    world.machine.forward(minutes=-minutes)
    world.settle()

    assert post.book == ["a/1"]


def test_a_claim_by_a_clock_that_was_ahead_ends_with_its_process(world: World, post: Post) -> None:
    fill(world, "a")
    take_in(world)
    claimed = world.machine.now() + timedelta(hours=1)
    with world.state.write() as connection:  # Its process has died since.
        connection.execute(table.update().values(claimed_until=claimed, attempts=1))
    world.settle()

    assert post.attempts == [Attempt(2, True, "a/1")]


def test_a_provider_that_is_left_alone_was_not_sent_anything(world: World, post: Post) -> None:
    post.troubles = [post.unreachable] * 8
    fill(world, *"abcdefghij")
    world.settle()

    assert len(post.attempts) == 8
    assert {maybe_sent for _, _, maybe_sent in rows(world)} == {False}
    assert len(rows(world)) == 10


def test_a_refused_outcome_is_recorded_and_the_work_is_over(world: World, post: Post) -> None:
    fill(world, "a")

    def refuse(*_: object) -> None:
        raise refusal("number_gone")

    runtime = world.runtime
    runtime.processes[NoteBox] = refuse
    world.settle()

    assert [e.type for e in world.happened()][-1] == "CommandRefused"
    assert rows(world) == []

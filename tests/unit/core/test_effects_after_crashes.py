"""Effects whose process dies, whose state is lost, or which two processes take in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from shared.consumers.effects import Attempt, EffectIntake
from shared.errors import Broken, Unavailable
from shared.messages import EVENTS
from shared.refusals import refusal
from tests.support.post import Crash, Post, fill, notes, rows, service, table, take_in
from tests.support.worlds import World


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def world(tmp_path: Path, post: Post) -> Iterator[World]:
    made = World(tmp_path, [service(post)])
    yield made
    made.close()


def die(world: World, post: Post, trouble: Callable[..., None]) -> World:
    """Our process dies in the call; another one starts."""
    post.troubles = [trouble]
    with pytest.raises(Crash):
        world.settle()
    return world.restart()


@pytest.mark.parametrize("trouble", ["dies_before", "dies_after"])
def test_after_a_crash_in_the_call_it_is_looked_up(world: World, post: Post, trouble: str) -> None:
    fill(world, "a")

    again = die(world, post, getattr(post, trouble))
    again.settle()

    assert post.attempts == [Attempt(1, False, "a/1"), Attempt(2, True, "a/1")]
    assert post.book == ["a/1"]
    assert notes(again) == ["sent a/1"]
    again.close()


def test_a_claim_of_another_process_is_left_alone_until_it_ends(world: World, post: Post) -> None:
    fill(world, "a")
    take_in(world)
    post.troubles = [post.dies_after]
    with pytest.raises(Crash):
        world.worker("boxes").step()

    assert not world.worker("boxes", 1).step()
    world.machine.forward(seconds=121)
    assert world.worker("boxes", 1).step()

    assert post.attempts[-1].maybe_sent
    assert post.book == ["a/1"]


def test_a_crash_between_call_and_record_records_once(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, "a")
    take_in(world)

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(world.log, "append_batch", crash)
    with pytest.raises(Crash):
        world.worker("boxes").step()
    again = world.restart()
    again.settle()

    assert post.book == ["a/1"]
    assert notes(again) == ["sent a/1"]
    again.close()


def test_an_outcome_that_could_not_be_written_is_taken_up_as_soon_as_there_is_room(
    world: World, post: Post
) -> None:
    fill(world, "a")
    take_in(world)
    worker = world.worker("boxes")

    def refuse(*_: object) -> None:
        raise refusal("storage_full")

    with pytest.MonkeyPatch.context() as full:
        full.setattr(world.log, "append_batch", refuse)
        with pytest.raises(Unavailable, match="storage_full"):
            worker.step()
        full.setattr(world.state, "write", refuse)
        with pytest.raises(Unavailable, match="storage_full"):
            worker.step()

    assert not worker.step()  # The claim is given back.
    world.machine.forward(seconds=1)
    assert worker.step()

    assert post.book == ["a/1"]
    assert post.attempts[-1] == Attempt(2, True, "a/1")
    assert notes(world) == ["sent a/1"]


def test_a_crash_between_record_and_finish_records_once(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, "a")
    take_in(world)
    worker = world.worker("boxes")

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(worker, "_finish", crash)
    with pytest.raises(Crash):
        worker.step()
    assert notes(world) == ["sent a/1"]
    again = world.restart()
    again.settle()

    assert notes(again) == ["sent a/1"]
    assert rows(again) == []
    again.close()


def test_losing_the_state_makes_the_same_rows_with_the_same_keys_again(
    world: World, post: Post
) -> None:
    fill(world, "a", "b")
    take_in(world)
    before = rows(world)
    ids = row_ids(world)
    world.close()
    for file in world.folder.glob("state.db*"):
        file.unlink()

    again = World(world.folder, [service(post)], machine=world.machine)
    take_in(again)

    assert rows(again) == before == [("a/1", 0, False), ("b/1", 0, False)]
    assert row_ids(again) == ids
    again.settle()
    assert notes(again) == ["sent a/1", "sent b/1"]
    again.close()


def row_ids(world: World) -> list[str]:
    with world.state.read() as connection:
        return list(connection.execute(select(table.c.id).order_by(table.c.id)).scalars())


# ── Taking in ─────────────────────────────────────────────────────────────────────────────────────


def intake(world: World, post: Post, name: str = "boxes") -> EffectIntake:
    (effect,) = service(post).effects(world.runtime)
    return EffectIntake(name, [effect], world.feed, world.runtime)


def test_two_runners_take_each_request_in_once(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when they read batches of different size: nothing is passed over."""
    one, two = intake(world, post), intake(world, post)
    fill(world, "a")
    one.step()
    two.step()
    really = world.feed.read
    fill(world, "b", "c", "d")
    with monkeypatch.context() as patch:
        patch.setattr(world.feed, "read", lambda after, _limit: really(after, 1))
        one.step()  # It takes in b only.
    two.step()  # It wanted b to d, and is told that another one was faster.
    fill(world, "e")
    while two.step() or one.step():
        pass

    assert [key for key, _, _ in rows(world)] == ["a/1", "b/1", "c/1", "d/1", "e/1"]


def test_two_services_may_act_on_the_same_event(world: World, post: Post) -> None:
    fill(world, "a")
    for name in ("boxes", "mail"):
        runner = intake(world, post, name)
        while runner.step():
            pass

    assert rows(world) == [("a/1", 0, False)] * 2


def test_a_log_that_went_back_stops_the_intake(world: World) -> None:
    fill(world, "a")
    world.settle()
    with world.state.write() as connection:
        connection.execute(text("UPDATE checkpoint SET event_id = x'00'"))
    again = world.restart()

    with pytest.raises(Broken, match="log_went_back"):
        again.consumer("effects:boxes").step()
    again.close()


def test_an_event_of_a_newer_version_is_not_taken_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, "a")
    world.application.codec._plain.clear()
    monkeypatch.setitem(EVENTS, "BoxFilled", replace(EVENTS["BoxFilled"], version=0))

    with pytest.raises(Broken, match="code_older_than_log"):
        world.consumer("effects:boxes").step()

    assert rows(world) == []


# ── Any order ─────────────────────────────────────────────────────────────────────────────────────

TROUBLES = ["unreachable", "answer_lost", "request_lost", "dies_before", "dies_after", "nonsense"]
moves = st.lists(
    st.one_of(st.sampled_from(["fill", "wait"]), st.sampled_from(TROUBLES)), max_size=15
)


@settings(
    print_blob=True, max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(moves=moves)
def test_whatever_fails_everything_is_sent_and_recorded_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    post = Post()
    world = World(tmp_path_factory.mktemp("world"), [service(post)])
    filled = 0
    for move in moves:
        if move == "fill":
            filled += 1
            fill(world, f"box{filled % 3}", amount=filled)
        elif move != "wait":
            post.troubles.append(getattr(post, move))
        try:
            world.settle()
        except Crash:
            world = world.restart()
        world.machine.forward(seconds=30)
    post.troubles = []
    for _ in range(len(moves)):
        world.machine.forward(minutes=11)
        world.settle()

    keys = sorted(f"box{n % 3}/{n}" for n in range(1, filled + 1))
    assert sorted(post.book) == keys
    assert sorted(note for note in notes(world) if note != "unknown") == [f"sent {k}" for k in keys]
    assert rows(world) == []
    world.close()

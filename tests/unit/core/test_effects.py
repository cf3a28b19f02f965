"""Effects: calls to the outside, one per key at a time, looked up when in doubt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from shared.consumers.effects import (
    EFFECTS,
    Attempt,
    Effect,
    EffectIntake,
    NotSentError,
    OutcomeUnknownError,
)
from shared.errors import Broken
from shared.happened import Happened
from shared.messages import EVENTS
from shared.refusals import refusal
from shared.spec import ServiceSpec
from tests.support.boxes import BoxFilled, BoxNoted, FillBox, NoteBox, box_service
from tests.support.worlds import World

table = EFFECTS.tables["effect"]


class Crash(BaseException):
    """The process dies here."""


class Post:
    """A carrier outside. It keeps a book of what it was sent, and may be made to fail."""

    def __init__(self) -> None:
        self.book: list[str] = []
        self.attempts: list[Attempt] = []
        self.troubles: list[Callable[..., None]] = []
        self.before: Callable[[str], None] = lambda _box_id: None

    def send(self, happened: Happened, attempt: Attempt) -> Sequence[Any]:
        """Sends, unless an earlier attempt did: what is in doubt is looked up first."""
        box_id = happened.message.box_id
        self.attempts.append(attempt)
        self.before(box_id)
        found = attempt.maybe_sent and attempt.provider_key in self.book
        if self.troubles:
            self.troubles.pop(0)(attempt.provider_key, found=found)
        if not found:
            self.book.append(attempt.provider_key)
        return [NoteBox(box_id=box_id, text=f"sent {attempt.provider_key}")]

    def unreachable(self, _key: str, **_: bool) -> None:
        """The connection was refused."""
        raise NotSentError("refused")

    def answer_lost(self, key: str, *, found: bool) -> None:
        """It was sent (or only looked up); the answer did not arrive."""
        self.book += [] if found else [key]
        raise OutcomeUnknownError("timed out")

    def request_lost(self, _key: str, **_: bool) -> None:
        """It was not sent, and nobody knows."""
        raise OutcomeUnknownError("timed out")

    def dies_before(self, _key: str, **_: bool) -> None:
        """Our process dies before the call."""
        raise Crash

    def dies_after(self, key: str, *, found: bool) -> None:
        """Our process dies when it was sent."""
        self.book += [] if found else [key]
        raise Crash

    def nonsense(self, _key: str, **_: bool) -> None:
        """A mistake of our program."""
        raise ZeroDivisionError


def service(post: Post) -> ServiceSpec:
    effect = Effect(
        name="send",
        provider="post",
        events=(BoxFilled,),
        key=lambda message: message.box_id,
        provider_key=lambda message: f"{message.box_id}/{message.amount}",
        call=post.send,
        unknown=lambda happened: [NoteBox(box_id=happened.message.box_id, text="unknown")],
        at_once=2,
    )
    return box_service(effects=lambda _runtime: (effect,))


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def world(tmp_path: Path, post: Post) -> Iterator[World]:
    made = World(tmp_path, [service(post)])
    yield made
    made.close()


def fill(world: World, *boxes: str, amount: int = 1) -> None:
    for box_id in boxes:
        world.execute(FillBox(box_id=box_id, amount=amount))


def take_in(world: World) -> None:
    while world.consumer("effects:boxes").step():
        pass


def rows(world: World) -> list[tuple[str, int, bool]]:
    query = select(table.c.provider_key, table.c.attempts, table.c.maybe_sent)
    with world.state.read() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(table.c.position))]


def notes(world: World) -> list[str]:
    return [note.text for note in world.messages(BoxNoted)]


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
    gate = threading.Barrier(2)

    def work(n: int) -> None:
        gate.wait()
        while world.worker("boxes", n).step():
            pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

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


# ── Crashes ───────────────────────────────────────────────────────────────────────────────────────


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

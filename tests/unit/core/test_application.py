"""Commands: loaded, decided, appended; repeated without doing anything twice."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import application
from shared.application import Application, Done, Order
from shared.codec import decode_meta
from shared.errors import Broken, Conflict, PbxError, Unavailable
from shared.eventlog import Appended, Entry, NewEvent
from shared.eventlog import Conflict as LogConflict
from shared.eventlog.sqlite import SqliteLog
from tests.support.boxes import BOXES, Box, BoxEmptied, BoxFilled, EmptyBox, FillBox, box_service
from tests.support.worlds import START, World, order


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [box_service()])
    yield made
    made.close()


def fill(box_id: str = "b", amount: int = 1, steps: int = 1) -> FillBox:
    return FillBox(box_id=box_id, amount=amount, steps=steps)


def empty(box_id: str = "b", amount: int = 1) -> EmptyBox:
    return EmptyBox(box_id=box_id, amount=amount)


def done(outcome: Done | PbxError) -> Done:
    assert isinstance(outcome, Done), outcome
    return outcome


class BeatenLog:
    """The log, but before an append somebody else may do something."""

    def __init__(self, log: SqliteLog, before: Callable[[], None]) -> None:
        self._log = log
        self._before = before
        self.batches: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append_batch(self, entries: Sequence[Entry]) -> list[Appended | LogConflict]:
        self.batches.append([entry.stream for entry in entries])
        self._before()
        return self._log.append_batch(entries)


def beaten(world: World, before: Callable[[], None]) -> tuple[Application, BeatenLog]:
    assert isinstance(world.log, SqliteLog)
    log = BeatenLog(world.log, before)
    return Application(log, world.application.codec, [BOXES]), log


def once(action: Callable[[], object]) -> Callable[[], None]:
    left = [action]

    def act() -> None:
        for one in left:
            left.clear()
            one()

    return act


def foreign_event(world: World, box_id: str = "b", amount: int = 1) -> None:
    """Somebody else is faster: an event of theirs is in the stream."""
    world.execute(fill(box_id, amount))


def test_a_command_answers_with_its_events_its_position_and_the_state(world: World) -> None:
    answer = world.execute(fill(amount=2, steps=3))

    assert answer.events == (BoxFilled(box_id="b", amount=2),) * 3
    assert answer.position == world.log.head()
    assert answer.state == Box(amount=6)
    assert not answer.replayed


def test_metadata_says_who_caused_it_and_when(world: World) -> None:
    world.execute(fill(), by="this one")

    (stored,) = world.log.read_stream("box-b")
    meta = decode_meta(stored.metadata)
    assert meta.command_id == uuid.uuid5(uuid.NAMESPACE_OID, "this one")
    assert (meta.actor, meta.correlation_id, meta.occurred_at) == ("user:u_1", "req_1", START)
    assert (stored.stream, stored.category, stored.version) == ("box-b", "box", 1)


def test_a_repeated_command_gets_the_recorded_answer(world: World) -> None:
    first = world.execute(fill(amount=5, steps=2), by="one")

    again = world.execute(fill(amount=5, steps=2), by="one")

    assert again == dataclasses.replace(first, replayed=True)
    assert world.messages(BoxFilled) == list(first.events)


def test_a_repeated_command_gets_the_recorded_answer_after_the_state_moved_on(
    world: World,
) -> None:
    world.execute(fill(amount=5))
    first = world.execute(empty(amount=5), by="take")

    again = world.execute(empty(amount=5), by="take")  # Decided now, it would be refused.

    assert (again.events, again.position, again.replayed) == (first.events, first.position, True)
    assert again.state == Box(amount=0)
    assert len(world.messages(BoxEmptied)) == 1


def test_an_id_counts_whatever_the_command_says(world: World) -> None:
    world.execute(fill(amount=5), by="one")

    again = world.execute(fill(amount=7), by="one")

    assert again.events == (BoxFilled(box_id="b", amount=5),)


def test_a_refusal_is_raised_and_records_nothing(world: World) -> None:
    head = world.log.head()

    with pytest.raises(Conflict, match="too_many_held"):
        world.execute(empty(amount=1))

    assert world.log.head() == head


def test_a_pointless_command_records_nothing_and_answers_with_the_position_of_the_stream(
    world: World,
) -> None:
    filled = world.execute(fill())
    world.execute(fill("other"))

    answer = world.execute(empty(amount=0))

    assert answer == Done(filled.position, (), Box(amount=1))
    assert world.execute(empty("never seen", amount=0)).position == 0


def test_commands_for_one_stream_are_decided_one_after_the_other(world: World) -> None:
    outcomes = world.application.execute_many(
        [order(c) for c in (fill(amount=3), empty(amount=2), empty(amount=1))]
    )

    assert [done(o).state.amount for o in outcomes] == [3, 1, 0]
    assert world.application.load(BOXES, "b") == Box(amount=0)


def test_a_refusal_that_rests_on_what_is_not_written_yet_is_decided_again(world: World) -> None:
    took, refused, pointless = world.application.execute_many(
        [order(c) for c in (fill(amount=3), empty(amount=4), empty(amount=0))]
    )

    assert done(took).state == Box(amount=3)
    assert isinstance(refused, Conflict)
    assert refused.detail == "There are only 3."
    assert done(pointless).events == ()
    assert done(pointless).position == done(took).position


def test_a_refusal_that_rests_on_what_was_never_written_is_decided_again(world: World) -> None:
    app, log = beaten(world, once(lambda: foreign_event(world, "b", 10)))

    outcomes = app.execute_many([order(fill(amount=3)), order(empty(amount=4))])

    assert [done(outcome).state.amount for outcome in outcomes] == [13, 9]
    assert len(log.batches) == 2


def test_positions_are_right_for_several_commands_in_one_entry(world: World) -> None:
    commands = [
        fill("x", steps=2),
        fill("y", steps=1),
        fill("x", steps=3),
        empty("x", amount=0),
        fill("y", steps=2),
    ]
    outcomes = [done(o) for o in world.application.execute_many(list(map(order, commands)))]

    for outcome, command in zip(outcomes, commands, strict=True):
        stream = world.log.read_stream(f"box-{command.box_id}")
        last = next(e for e in stream if e.position == outcome.position)
        assert last.position <= stream[-1].position
    x = [e.position for e in world.log.read_stream("box-x")]
    y = [e.position for e in world.log.read_stream("box-y")]
    assert [o.position for o in outcomes] == [x[1], y[0], x[4], x[4], y[2]]


def test_the_same_command_twice_in_one_go_is_recorded_once(world: World) -> None:
    first, again = world.application.execute_many(
        [order(fill(), by="one"), order(fill(), by="one")]
    )

    assert done(first).position == done(again).position
    assert (done(first).replayed, done(again).replayed) == (False, True)
    assert len(world.messages(BoxFilled)) == 1


def test_only_what_conflicted_is_decided_again(world: World) -> None:
    app, log = beaten(world, once(lambda: foreign_event(world, "b", 10)))

    outcomes = app.execute_many([order(fill("a")), order(fill("b")), order(fill("c"))])

    assert log.batches == [["box-a", "box-b", "box-c"], ["box-b"]]
    assert [done(o).state.amount for o in outcomes] == [1, 11, 1]
    assert len(world.messages(BoxFilled)) == 4


def test_what_somebody_else_did_meanwhile_may_lead_to_a_refusal(world: World) -> None:
    world.execute(fill(amount=5))
    app, _ = beaten(world, once(lambda: world.execute(empty(amount=5))))

    (outcome,) = app.execute_many([order(empty(amount=5))])

    assert isinstance(outcome, Conflict)
    assert app.load(BOXES, "b") == Box(amount=0)


def test_who_is_always_beaten_gives_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_PAUSE_SECONDS", 0.0)
    app, log = beaten(world, lambda: foreign_event(world))

    with pytest.raises(Unavailable, match="busy"):
        app.execute(order(fill()))

    assert 10 < len(log.batches) <= 50


def test_a_log_without_room_is_told_as_it_is(world: World) -> None:
    def full() -> None:
        raise Unavailable("storage_full")

    app, _ = beaten(world, full)

    with pytest.raises(Unavailable, match="storage_full"):
        app.execute_many([order(fill())])


def test_a_stream_with_an_event_of_a_newer_version_is_not_decided_on(world: World) -> None:
    event = NewEvent(uuid.uuid4().bytes, "", "BoxBurnt", 1, b"{}", b"{}")
    world.log.append_batch([Entry("box-b", "box", 0, (event,))])

    with pytest.raises(Broken, match="code_older_than_log: box-b holds BoxBurnt"):
        world.execute(fill())


def test_many_threads_on_one_stream_lose_nothing(world: World) -> None:
    each, threads = 5, 8
    world.execute(fill(amount=each * threads))
    left: list[int] = []

    def take() -> None:
        left.extend(world.execute(empty()).state.amount for _ in range(each))

    running = [threading.Thread(target=take) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(30)

    assert sorted(left) == list(range(each * threads))
    with pytest.raises(Conflict):
        world.execute(empty())


steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(-3, 3),
        st.integers(0, 12),  # Names the command: some are deliveries of one that was seen.
        st.booleans(),  # Whether it goes together with the one before.
    ),
    max_size=14,
)


@settings(
    print_blob=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None
)
@given(steps=steps)
def test_deliveries_in_any_order_and_number_do_each_command_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int, bool]]
) -> None:
    world = World(tmp_path_factory.mktemp("world"), [box_service()])
    groups: list[list[Order]] = []
    for box_id, by, name, together in steps:
        command = fill(box_id, by) if by >= 0 else empty(box_id, -by)
        one = order(command, by=f"{box_id} {by} {name}")
        groups = [*groups[:-1], [*groups[-1], one]] if groups and together else [*groups, [one]]
    acked: dict[uuid.UUID, Done] = {}
    for group in groups:
        for one, outcome in zip(group, world.application.execute_many(group), strict=True):
            if isinstance(outcome, Done) and outcome.events:
                known = acked.setdefault(one.command_id, outcome)
                assert (known.position, known.events) == (outcome.position, outcome.events)

    told = sum(len(answer.events) for answer in acked.values())
    assert len(world.messages(BoxFilled, BoxEmptied)) == told
    for box_id in "ab":
        expected = sum(
            e.amount if isinstance(e, BoxFilled) else -e.amount
            for answer in acked.values()
            for e in answer.events
            if e.box_id == box_id
        )
        assert world.application.load(BOXES, box_id).amount == expected >= 0
    world.close()

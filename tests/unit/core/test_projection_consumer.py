"""Projections: rows and checkpoint together, rebuilt at will, stopped rather than wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, insert, select, update

from shared.consumers import projections
from shared.consumers.checkpoints import CHECKPOINTS
from shared.consumers.projections import Projection, ProjectionConsumer
from shared.consumers.rows import Rows
from shared.happened import Happened
from tests.support.boxes import (
    BoxEmptied,
    BoxFilled,
    EmptyBox,
    FillBox,
    LabelBox,
    box_service,
    fold,
    projection,
    shown,
)
from tests.support.worlds import World

checkpoint = CHECKPOINTS.tables["checkpoint"]


class Crash(BaseException):
    """The process dies here: no handler of ours may catch it."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [box_service()])
    yield made
    made.close()


def consumer(world: World, read_model: Projection | None = None) -> ProjectionConsumer:
    return ProjectionConsumer(read_model or projection(), world.feed, world.views)


def run(*consumers: ProjectionConsumer) -> None:
    while any(one.step() for one in consumers):
        pass


def fill(world: World, *amounts: int, box_id: str = "b") -> None:
    for amount in amounts:
        world.execute(FillBox(box_id=box_id, amount=amount))


def stored_checkpoint(world: World) -> tuple[int, int] | None:
    with world.views.read() as connection:
        row = connection.execute(select(checkpoint)).first()
    return None if row is None else (row.position, row.version)


def test_events_become_rows(world: World) -> None:
    fill(world, 1, 2)
    fill(world, 5, box_id="c")
    mine = consumer(world)

    run(mine)

    assert shown(world.views) == {"b": (3, 2), "c": (5, 1)}
    assert mine.position == world.log.head()
    assert mine.failure is None


def test_it_goes_on_where_it_was(world: World) -> None:
    fill(world, 1)
    run(consumer(world))
    fill(world, 2)

    run(consumer(world))

    assert shown(world.views) == {"b": (3, 2)}


def test_events_it_does_not_want_only_move_it_on(world: World) -> None:
    fill(world, 1)
    mine = consumer(world)
    run(mine)
    stored = stored_checkpoint(world)
    world.execute(LabelBox(box_id="b", account_id="a", owner="Zoë"))

    run(mine)

    assert mine.position == world.log.head()
    assert stored_checkpoint(world) == stored


def test_only_events_that_are_awaited_are_said_to_be_shown(world: World) -> None:
    mine = consumer(world, replace(projection(), awaited=(BoxEmptied,)))
    fill(world, 1, box_id="a")
    run(mine)
    assert mine.shown == []

    fill(world, 1, box_id="b")
    world.execute(EmptyBox(box_id="a", amount=1))
    mine.step()
    assert mine.shown == ["box-a"]


def test_a_long_way_without_events_for_it_is_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "_WRITE_EVERY", 3)
    mine = consumer(world)
    for _ in range(4):
        world.execute(LabelBox(box_id="b", account_id="a", owner="Zoë"))

    run(mine)

    assert stored_checkpoint(world) == (world.log.head(), 1)


def die_at(place: str, patch: pytest.MonkeyPatch) -> None:
    """The process ends at a place of the transaction, or right after it."""

    def die(*_: object) -> None:
        raise Crash

    def reach(reached: str) -> None:
        if reached == place:
            die()

    really = Rows.flush
    match place:
        case "before the rows":
            patch.setattr(Rows, "prefetch", die)
        case "after the rows":
            patch.setattr(Rows, "flush", lambda rows: (really(rows), die()))
        case _:
            patch.setattr(projections.failpoints, "reach", reach)


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        ("before the rows", False),
        ("after the rows", False),
        ("checkpoint.before", False),
        ("checkpoint.after", True),
    ],
)
def test_a_crash_anywhere_in_a_batch_does_not_change_the_result(
    world: World, monkeypatch: pytest.MonkeyPatch, at: str, *, kept: bool
) -> None:
    fill(world, 1, 2, 4)
    die_at(at, monkeypatch)
    with pytest.raises(Crash):
        consumer(world).step()
    monkeypatch.undo()
    assert stored_checkpoint(world) == ((world.log.head(), 1) if kept else None)
    assert shown(world.views) == ({"b": (7, 3)} if kept else {})

    run(consumer(world))

    assert shown(world.views) == {"b": (7, 3)}
    assert stored_checkpoint(world) == (world.log.head(), 1)


def test_a_projection_that_fails_stops_where_it_was(world: World) -> None:
    def picky(happened: Happened, rows: Rows) -> None:
        if happened.message.amount == 13:
            raise ValueError("thirteen")
        fold(happened, rows)

    fill(world, 1)
    mine = consumer(world, projection(fold=picky))
    run(mine)
    before = mine.position
    fill(world, 13, 2)

    assert not mine.step()

    assert mine.failure == "ValueError: thirteen"
    assert mine.position == before
    assert shown(world.views) == {"b": (1, 1)}
    assert not mine.step()


def test_a_projection_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    def failing(_happened: Happened, _rows: Rows) -> None:
        raise ValueError("never")

    other = MetaData()
    Table("other", other, Column("id", String, primary_key=True))
    broken = Projection("broken", 1, other, (BoxFilled,), failing)
    world = World(tmp_path, [box_service(projections=(broken, projection()))])
    fill(world, 1, 2)

    world.settle()

    assert shown(world.views) == {"b": (3, 2)}
    assert world.consumer("broken").failure == "ValueError: never"
    assert world.consumer("boxes").failure is None
    world.close()


def test_a_restart_lets_a_mended_projection_go_on(world: World) -> None:
    def failing(_happened: Happened, _rows: Rows) -> None:
        raise ValueError("never")

    fill(world, 1)
    run(consumer(world, projection(fold=failing)))

    run(consumer(world))

    assert shown(world.views) == {"b": (1, 1)}


def test_a_rebuild_equals_what_was_there(world: World) -> None:
    fill(world, 1, 2)
    world.execute(EmptyBox(box_id="b", amount=3))
    fill(world, 5, box_id="c")
    mine = consumer(world)
    run(mine)
    live = shown(world.views)

    mine.rebuild()
    assert shown(world.views) == {}
    run(mine)

    assert shown(world.views) == live == {"c": (5, 1)}


def test_a_rebuild_can_come_first(world: World) -> None:
    fill(world, 1)
    mine = consumer(world)

    mine.rebuild()
    run(mine)

    assert shown(world.views) == {"b": (1, 1)}


def test_a_rebuild_mends_a_row_that_was_wrong(world: World) -> None:
    fill(world, 1)
    mine = consumer(world)
    run(mine)
    table = next(iter(projection().tables.sorted_tables))
    with world.views.write() as connection:
        connection.execute(update(table).values(amount=99))

    mine.rebuild()
    run(mine)

    assert shown(world.views) == {"b": (1, 1)}


def test_a_rebuild_by_another_process_is_not_lost(world: World) -> None:
    """The command line rebuilds while the server runs: it must not go on in empty tables."""
    fill(world, 1, 2)
    server = consumer(world)
    run(server)

    consumer(world).rebuild()
    fill(world, 4)
    run(server)

    assert shown(world.views) == {"b": (7, 3)}


def test_another_version_makes_its_tables_anew(world: World) -> None:
    fill(world, 1, 2)
    run(consumer(world))
    wider = MetaData()
    table = Table(
        "box_contents",
        wider,
        Column("box_id", String, primary_key=True),
        Column("amount", Integer, nullable=False),
        Column("changes", Integer, nullable=False),
        Column("largest", Integer, nullable=False),
    )

    def fold_wider(happened: Happened, rows: Rows) -> None:
        e = happened.message
        known = rows.get(table, e.box_id) or {"amount": 0, "changes": 0, "largest": 0}
        rows.put(
            table,
            {
                "box_id": e.box_id,
                "amount": known["amount"] + e.amount,
                "changes": known["changes"] + 1,
                "largest": max(known["largest"], e.amount),
            },
        )

    run(consumer(world, Projection("boxes", 2, wider, (BoxFilled,), fold_wider)))

    with world.views.read() as connection:
        assert connection.execute(select(table)).all() == [("b", 3, 2, 2)]
    assert stored_checkpoint(world) == (world.log.head(), 2)


def test_two_runners_of_one_projection_do_not_double_rows(world: World) -> None:
    one, other = consumer(world), consumer(world)
    fill(world, 1)
    run(one, other)
    fill(world, 2)
    run(other, one)
    fill(world, 4)
    run(one)
    fill(world, 8)
    run(other, one)

    assert shown(world.views) == {"b": (15, 4)}
    assert one.position == other.position == world.log.head()


@settings(
    print_blob=True,
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    steps=st.lists(
        st.sampled_from(["fill", "other", "one", "two", "restart one", "rebuild two"]), max_size=20
    ),
    batch=st.integers(1, 4),
)
def test_runners_in_any_order_end_with_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], batch: int
) -> None:
    world = World(tmp_path_factory.mktemp("world"), [box_service()])
    one, two = consumer(world), consumer(world)
    filled = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projections, "_BATCH", batch)
        for step in steps:
            match step:
                case "fill":
                    filled += 1
                    fill(world, filled)
                case "other":
                    world.execute(LabelBox(box_id="b", account_id="a", owner="Zoë"))
                case "one":
                    one.step()
                case "two":
                    two.step()
                case "restart one":
                    one = consumer(world)
                case _:
                    two.rebuild()
        run(one, two)

    assert (one.failure, two.failure) == (None, None)
    assert shown(world.views) == ({"b": (sum(range(filled + 1)), filled)} if filled else {})
    world.close()


def change_checkpoint(world: World, **values: object) -> None:
    with world.views.write() as connection:
        connection.execute(update(checkpoint).values(**values))


@pytest.mark.parametrize(
    "gone_back",
    [{"event_id": b"x" * 16}, {"log_id": "another"}, {"position": 99}],
    ids=["another event", "another log", "a shorter log"],
)
def test_a_log_that_went_back_stops_the_projection(
    world: World, gone_back: dict[str, object]
) -> None:
    fill(world, 1)
    run(consumer(world))
    change_checkpoint(world, **gone_back)
    fill(world, 2)
    mine = consumer(world)

    run(mine)

    assert "log_went_back" in str(mine.failure)
    assert shown(world.views) == {"b": (1, 1)}


def test_without_its_checkpoint_a_projection_begins_anew_in_empty_tables(world: World) -> None:
    fill(world, 1)
    mine = consumer(world)
    run(mine)
    with world.views.write() as connection:
        connection.execute(delete(checkpoint))
        connection.execute(delete(next(iter(projection().tables.sorted_tables))))

    run(consumer(world))

    assert shown(world.views) == {"b": (1, 1)}


def test_a_foreign_row_in_the_views_does_not_become_truth(world: World) -> None:
    table = next(iter(projection().tables.sorted_tables))
    world.views.create(projection().tables)
    with world.views.write() as connection:
        connection.execute(insert(table).values(box_id="ghost", amount=1, changes=1))
    mine = consumer(world)

    mine.rebuild()
    run(mine)

    assert shown(world.views) == {}

"""Read models built beside those that are read, step by step, in a file and in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, select, text, update

from shared.consumers import drafts
from shared.consumers import projections as module
from shared.consumers.checkpoints import CHECKPOINTS
from shared.consumers.feed import Feed
from shared.consumers.projections import Projection, ProjectionConsumer
from shared.consumers.rebuilding import Rebuilding
from shared.consumers.rows import Rows
from shared.errors import Broken, Unavailable
from shared.happened import Happened
from shared.stores import Store
from tests.support.boxes import BoxFilled, FillBox, box_service, contents, projection, shown
from tests.support.postgres import server
from tests.support.worlds import World

BOXES = {f"b{n}": (1, 1) for n in range(12)}
PATIENCE = 20.0
IN_POSTGRES = pytest.mark.parametrize("world", ["postgresql"], indirect=True)
checkpoint = CHECKPOINTS.tables["checkpoint"]


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Twelve boxes, and a read model that shows them."""
    stored = request.param == "postgresql"
    address = server().address(server().store_database()) if stored else ""
    made = World(tmp_path, [box_service(projections=(projection(),))], database=address)
    for box_id in BOXES:
        fill(made, box_id)
    made.settle()
    yield made
    made.close()


@pytest.fixture
def views(world: World) -> Store:
    return world.assembly.ground.runtime("boxes").views


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 3)


def fill(world: World, box_id: str, amount: int = 1) -> None:
    world.execute(FillBox(box_id=box_id, amount=amount))


def feed(world: World) -> Feed:
    """Of a process of its own."""
    return Feed(world.log, world.application.codec)


def rebuilding(world: World, views: Store, of: Projection | None = None) -> Rebuilding:
    made = Rebuilding(of or projection(), feed(world), views)
    made.begin()
    return made


def built(world: World, views: Store, of: Projection | None = None) -> Rebuilding:
    made = rebuilding(world, views, of)
    while made.step():
        pass
    return made


def live(world: World) -> ProjectionConsumer:
    found = world.consumer("boxes")
    assert isinstance(found, ProjectionConsumer)
    return found


def spoil(views: Store) -> None:
    with views.write() as connection:
        connection.execute(update(contents).values(amount=99))


def dies_at(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    """Ends whoever comes there, as a death does: nobody takes care of it."""

    def reach(place: str) -> None:
        if place == wanted:
            raise KeyboardInterrupt

    monkeypatch.setattr("shared.failpoints.reach", reach)


# ── While it is built ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("small_steps")
def test_what_is_read_stays_as_it_is_until_the_new_one_takes_its_place(
    world: World, views: Store
) -> None:
    spoil(views)
    spoilt = shown(views)
    with closing(rebuilding(world, views)) as new:
        while new.step():
            assert shown(views) == spoilt
        assert new.swap() is True

    assert shown(views) == BOXES


@pytest.mark.usefixtures("small_steps")
def test_one_that_was_ended_in_the_middle_goes_on_where_it_was(world: World, views: Store) -> None:
    with closing(rebuilding(world, views)) as ended:
        ended.step()
        ended.step()
        middle = ended.position
    with closing(Rebuilding(projection(), feed(world), views)) as new:
        assert 0 < new.begin() == middle < world.log.head()
        while new.step():
            pass
        new.swap()

    assert shown(views) == BOXES


@pytest.mark.usefixtures("small_steps")
def test_what_one_of_another_version_or_log_left_or_what_is_not_wanted_is_begun_anew(
    world: World, views: Store
) -> None:
    with closing(rebuilding(world, views)) as ended:
        ended.step()
    with closing(Rebuilding(projection(version=2), feed(world), views)) as other_version:
        assert other_version.begin() == 0
    with closing(rebuilding(world, views)) as ended:
        ended.step()
    with closing(Rebuilding(projection(), feed(world), views)) as not_wanted:
        assert not_wanted.begin(afresh=True) == 0
        not_wanted.step()
    with closing(views.draft()) as draft, draft.write() as connection:
        connection.execute(update(checkpoint).values(log_id="another"))
    with closing(Rebuilding(projection(), feed(world), views)) as other_log:
        assert other_log.begin() == 0


def test_one_that_died_when_its_tables_had_gone_begins_anew(world: World, views: Store) -> None:
    with closing(built(world, views)) as ended, closing(views.draft()) as draft:
        with draft.write() as connection:
            contents.drop(connection)
        again = rebuilding(world, views)
        assert (again.position, ended.position) == (0, world.log.head())
        again.close()


def test_an_event_that_it_cannot_fold_ends_it_and_changes_nothing(
    world: World, views: Store
) -> None:
    def fails(_event: Happened, _rows: Rows) -> None:
        raise ZeroDivisionError

    with (
        closing(rebuilding(world, views, projection(fold=fails))) as new,
        pytest.raises(Broken, match=r"rebuild_failed.*boxes stopped behind 0: ZeroDivisionError"),
    ):
        new.step()

    assert shown(views) == BOXES


# ── Taking its place ──────────────────────────────────────────────────────────────────────────────


def test_what_happens_meanwhile_is_in_both_and_no_position_goes_back(
    world: World, views: Store
) -> None:
    new, runner, positions = built(world, views), live(world), []
    for n in range(5):
        fill(world, "late", n + 1)
        if n % 2:
            world.settle()
        if n == 2:
            assert new.swap() is True
            assert shown(views)["late"] == (6, 3)  # Also what the live one had not read yet.
        runner.step()
        positions.append(runner.position)
        assert shown(views).keys() >= BOXES.keys()
    world.settle()
    positions.append(runner.position)
    new.close()

    assert shown(views) == BOXES | {"late": (15, 5)}
    assert positions == sorted(positions)
    assert positions[0] > 0
    assert runner.position == world.log.head()
    assert runner.failure is None


def test_a_swap_that_dies_before_its_end_has_changed_nothing(
    world: World, views: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(views)
    spoilt = shown(views)
    new = built(world, views)
    dies_at(monkeypatch, "swap.before")
    with pytest.raises(KeyboardInterrupt):
        new.swap()
    monkeypatch.undo()
    assert shown(views) == spoilt
    new.close()

    with closing(built(world, views)) as again:
        assert again.swap() is True
    assert shown(views) == BOXES


def test_one_that_died_after_its_swap_may_be_run_again(
    world: World, views: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = built(world, views)
    dies_at(monkeypatch, "swap.after")
    with pytest.raises(KeyboardInterrupt):
        new.swap()
    monkeypatch.undo()
    new.close()
    fill(world, "late")
    world.settle()

    with closing(built(world, views)) as again:
        assert again.swap() is True
    assert shown(views) == BOXES | {"late": (1, 1)}


def test_a_read_model_that_never_ran_is_simply_there(world: World, views: Store) -> None:
    other = MetaData()
    first = contents.to_metadata(other, name="box_first")

    def fold(event: Happened, rows: Rows) -> None:
        rows.put(first, {"box_id": event.message.box_id, "amount": 1, "changes": 1})

    never = Projection("first", 1, other, (BoxFilled,), fold)
    with closing(built(world, views, never)) as new:
        assert new.swap() is True
    with views.read() as connection:
        assert len(connection.execute(select(first)).all()) == len(BOXES)


# ── Another version ───────────────────────────────────────────────────────────────────────────────

_WIDER = MetaData()
wider = Table(
    "box_contents",
    _WIDER,
    Column("box_id", String, primary_key=True),
    Column("amount", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("largest", Integer, nullable=False),
)


def fold_wider(event: Happened, rows: Rows) -> None:
    by, known = event.message.amount, rows.get(wider, event.message.box_id)
    row = known or {"box_id": event.message.box_id, "amount": 0, "changes": 0, "largest": 0}
    more = {"amount": row["amount"] + by, "changes": row["changes"] + 1}
    rows.put(wider, row | more | {"largest": max(row["largest"], by)})


WIDER = Projection("boxes", 2, _WIDER, (BoxFilled,), fold_wider)


def test_one_of_a_new_version_is_prepared_beside_the_old_one_and_taken_at_the_start(
    world: World, views: Store
) -> None:
    with closing(built(world, views, WIDER)) as new:
        assert new.swap() is False
    fill(world, "late")
    world.settle()
    assert shown(views) == BOXES | {"late": (1, 1)}

    runner = ProjectionConsumer(WIDER, feed(world), views)
    prepared = runner.checkpoint.position
    with views.read() as connection:
        taken = {tuple(row) for row in connection.execute(select(wider))}
    while runner.step():
        pass

    assert prepared >= len(BOXES)
    assert {(name, 1, 1, 1) for name in BOXES} <= taken
    assert shown(views) == BOXES | {"late": (1, 1)}
    assert runner.position == world.log.head()


def test_where_nothing_was_prepared_a_new_version_begins_with_nothing(
    world: World, views: Store
) -> None:
    with closing(built(world, views, replace(WIDER, version=3))):
        pass
    runner = ProjectionConsumer(WIDER, feed(world), views)

    assert runner.checkpoint.position == 0
    while runner.step():
        pass
    assert shown(views) == BOXES


# ── Who looks meanwhile, in PostgreSQL ────────────────────────────────────────────────────────────


@IN_POSTGRES
def test_whoever_has_begun_to_look_is_waited_for_and_nobody_is_kept_waiting(
    world: World, views: Store
) -> None:
    """A snapshot that is older than the new rows would show a part of them, or none."""
    with views.read() as looking:
        looking.execute(text("SELECT 1"))  # At no table of the read model, yet.
        new = built(world, views)
        with pytest.raises(Unavailable, match=r"busy.*looks at the read models"):
            new.swap()
        assert shown(views) == BOXES
        assert len(looking.execute(select(contents)).all()) == len(BOXES)
    assert new.swap() is True
    new.close()

    assert shown(views) == BOXES


@IN_POSTGRES
def test_looks_beside_swaps_always_see_every_row(world: World, views: Store) -> None:
    ended, seen = threading.Event(), [0, 0]

    def look(n: int) -> None:
        while not ended.is_set():
            if n:
                found = shown(views)
            else:
                found = {
                    row.box_id: (row.amount, row.changes) for row in views.ask(select(contents))
                }
            seen[n] += 1
            assert found == BOXES

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look, n) for n in range(2)]
        with ExitStack() as at_last:
            at_last.callback(ended.set)
            for _ in range(15):
                with closing(built(world, views)) as new:
                    swap_when_possible(new)
        for one in looking:
            one.result(PATIENCE)

    assert min(seen) > 15


def swap_when_possible(new: Rebuilding) -> None:
    for _ in range(100):
        with suppress(Unavailable):
            assert new.swap() is True
            return
    message = "others did not let go of the tables"
    raise AssertionError(message)


def test_what_is_left_in_the_draft_is_nothing(world: World, views: Store) -> None:
    with closing(built(world, views)) as new:
        new.swap()
    with closing(views.draft()) as draft, draft.read() as connection:
        assert drafts.place_of(projection(), draft, world.log) is None
        assert not draft.has(connection, projection().tables)

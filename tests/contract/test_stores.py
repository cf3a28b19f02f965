"""What every store promises, in a file or in PostgreSQL. "Processes" are stores that share nothing
but the database (where a database takes several)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from shared.consumers.row_forms import form_of
from shared.stores import Store, StoredKeyring
from tests.contract.store_backends import BACKENDS, Backend

PATIENCE = 60.0
PROCESSES = 6
TABLES = MetaData()
things = Table(
    "thing",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("text", String, index=True),
    Column("amount", Integer, nullable=False, default=0),
)
kinds = Table(
    "kind",
    TABLES,
    Column("name", String, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("raw", LargeBinary),
    Column("yes", Boolean),
    Column("many", Integer),
    Column("list", JSON),
)


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[int], Store]]:
    """Opens the store as the n-th process."""
    backend: Backend = request.param
    address = backend.make(tmp_path)
    made: list[Store] = []

    def opening(process: int = 0) -> Store:
        made.append(backend.open(address, process))
        return made[-1]

    yield opening
    for store in made:
        store.close()


@pytest.fixture
def store(opened: Callable[[int], Store]) -> Store:
    found = opened(0)
    found.create(TABLES)
    return found


def add(store: Store, n: int, content: str = "") -> None:
    with store.write() as connection:
        connection.execute(insert(things).values(id=n, text=content))


def count(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(things)).scalar_one())


def all_at_once(opened: Callable[[int], Store], work: Callable[[Store, int], Any]) -> list[Any]:
    """The same by several processes, which begin together."""
    begin = threading.Barrier(PROCESSES)
    stores = [opened(n) for n in range(PROCESSES)]

    def one(n: int) -> Any:
        begin.wait(PATIENCE)
        return work(stores[n], n)

    with ThreadPoolExecutor(PROCESSES) as pool:
        return [
            future.result(PATIENCE) for future in [pool.submit(one, n) for n in range(PROCESSES)]
        ]


def test_what_was_written_is_there_for_all_processes(
    store: Store, opened: Callable[[int], Store]
) -> None:
    add(store, 1)

    assert count(store) == count(opened(1)) == 1
    store.create(TABLES)
    opened(2).create(TABLES)
    assert count(store) == 1


def test_an_error_undoes_the_whole_transaction(store: Store) -> None:
    def twice() -> None:
        with store.write() as connection:
            connection.execute(insert(things).values(id=1))
            connection.execute(insert(things).values(id=1))

    with pytest.raises(IntegrityError):
        twice()

    assert count(store) == 0
    add(store, 1)
    assert count(store) == 1


def test_an_error_that_we_have_no_words_for_does_not_say_that_it_caused_itself(
    store: Store,
) -> None:
    def ask() -> None:
        with store.write() as connection:
            connection.exec_driver_sql("SELECT * FROM thing WHERE nothing_like_it = 1")

    with pytest.raises(DBAPIError) as raised:
        ask()
    seen: list[BaseException | None] = [raised.value]
    while seen[-1] is not None:
        assert seen[-1] not in seen[:-1]
        seen.append(seen[-1].__cause__)


def test_what_is_no_error_of_the_database_undoes_it_too(store: Store) -> None:
    def give_up() -> None:
        with store.write() as connection:
            connection.execute(insert(things).values(id=1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()

    assert count(store) == 0


def test_tables_are_made_once_by_however_many_at_once(opened: Callable[[int], Store]) -> None:
    all_at_once(opened, lambda store, _n: store.create(TABLES))

    assert count(opened(0)) == 0


def test_of_many_that_add_what_is_missing_one_does(
    store: Store, opened: Callable[[int], Store]
) -> None:
    def add_if_missing(one: Store, n: int) -> bool:
        with one.write() as connection:
            if connection.execute(select(things).where(things.c.id == 1)).first() is not None:
                return False
            connection.execute(insert(things).values(id=1, text=str(n)))
            return True

    assert sorted(all_at_once(opened, add_if_missing)) == [False] * (PROCESSES - 1) + [True]
    assert count(store) == 1


def test_what_was_read_before_writing_is_still_so(
    store: Store, opened: Callable[[int], Store]
) -> None:
    add(store, 1)

    def count_up(one: Store, _n: int) -> None:
        for _ in range(20):
            with one.write() as connection:
                found = connection.execute(select(things.c.amount)).scalar_one()
                connection.execute(update(things).values(amount=found + 1))

    all_at_once(opened, count_up)

    with store.read() as connection:
        assert connection.execute(select(things.c.amount)).scalar_one() == 20 * PROCESSES


def test_of_rows_that_wait_each_is_claimed_once(
    store: Store, opened: Callable[[int], Store]
) -> None:
    with store.write() as connection:
        connection.execute(insert(things), [{"id": n, "text": "free"} for n in range(40)])

    def claim_all(one: Store, n: int) -> list[int]:
        claimed = []
        free = select(things.c.id).where(things.c.text == "free").order_by(things.c.id).limit(1)
        while True:
            with one.write() as connection:
                found = connection.execute(free).scalar()
                if found is None:
                    return claimed
                this = things.c.id == found
                connection.execute(update(things).where(this).values(text=f"of {n}"))
            claimed.append(found)

    claimed = all_at_once(opened, claim_all)

    assert sorted(n for theirs in claimed for n in theirs) == list(range(40))


def test_a_reader_sees_one_moment_and_does_not_wait_for_a_writer(
    store: Store, opened: Callable[[int], Store]
) -> None:
    add(store, 1)
    other = opened(1)
    with store.read() as connection:
        first = connection.execute(text("SELECT count(*) FROM thing")).scalar_one()
        with other.write() as writing:
            writing.execute(insert(things).values(id=2))
            between = count(store)
        second = connection.execute(text("SELECT count(*) FROM thing")).scalar_one()

    assert (first, between, second, count(store)) == (1, 1, 1, 2)


def test_a_single_question_sees_what_was_written_last(
    store: Store, opened: Callable[[int], Store]
) -> None:
    add(store, 1, "a")
    with opened(1).write(lazily=True) as connection:
        connection.execute(insert(things).values(id=2, text="b"))
    query = select(things.c.text).where(things.c.id > bindparam("least")).order_by(things.c.id)

    assert [row.text for row in store.ask(query, {"least": 0})] == ["a", "b"]
    assert [row.text for row in store.ask(query, {"least": 1})] == ["b"]
    assert store.ask(select(things.c.id).where(things.c.id == 3)) == []


def test_what_is_written_lazily_is_given_up_as_a_whole_as_well(store: Store) -> None:
    def give_up() -> None:
        with store.write(lazily=True) as connection:
            connection.execute(insert(things).values(id=1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()

    assert count(store) == 0


def test_two_makers_of_a_persons_key_end_up_with_the_same(opened: Callable[[int], Store]) -> None:
    keys = all_at_once(opened, lambda one, _n: StoredKeyring(one, b"m" * 32).make_key("acct_1"))

    assert None not in keys
    assert len(set(keys)) == 1


def test_values_of_every_kind_come_back_as_they_were(store: Store) -> None:
    row = {
        "name": "a",
        "at": datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC),
        "raw": b"\x00\xff",
        "yes": True,
        "many": 2**62,
        "list": [{"text": "\x00 ü \U0001f600"}],
    }
    nothing = dict.fromkeys(row) | {"name": "b", "list": []}
    with store.write() as connection:
        form = form_of(kinds, connection.dialect)
        form.upsert(connection, [row, nothing])
        form.upsert(connection, [row])

    with store.read() as connection:
        found = list(form.select(connection, [("a",), ("b",), ("c",)]))
        total = connection.execute(select(func.sum(kinds.c.many))).scalar_one()
    assert sorted(found, key=lambda one: one["name"]) == [row, nothing]
    assert found[0]["at"].tzinfo is UTC
    assert (total, type(total)) == (2**62, int)


def test_a_question_that_is_asked_again_has_the_same_answer_with_values_of_every_kind(
    store: Store,
) -> None:
    row = {
        "name": "a",
        "at": datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC),
        "raw": b"\x00\xff\\",
        "yes": True,
        "many": 2**62,
        "list": [{"text": "ü \U0001f600", "numbers": [1, 0.5, -(2**53), None], "{": "\\"}],
    }
    nothing = dict.fromkeys(row) | {"name": "b", "list": []}
    with store.write() as connection:
        form_of(kinds, connection.dialect).upsert(connection, [row, nothing])
    query = select(kinds, func.length(kinds.c.name).label("length")).where(
        kinds.c.name == bindparam("name")
    )
    since = query.where(kinds.c.at >= bindparam("at"), kinds.c.many > bindparam("many"))
    early, late = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)

    for _ in range(8):
        (found,) = store.ask(query, {"name": "a"})
        told = found._asdict()
        told["at"] = told["at"].replace(tzinfo=UTC)  # A file does not say so.
        assert told == row | {"length": 1}
        (found,) = store.ask(query, {"name": "b"})
        assert (found._asdict(), store.ask(query, {"name": "c"})) == (nothing | {"length": 1}, [])
        (found,) = store.ask(since, {"name": "a", "at": early, "many": 2**40})
        assert found.raw == row["raw"]
        assert store.ask(since, {"name": "a", "at": late, "many": 0}) == []


def test_texts_are_in_the_order_of_their_bytes(store: Store) -> None:
    names = ["b", "a", "B", "ä", "a b", "a-b", "ab", "_", "~", "É", "10", "9", "\U0001f600", ""]
    with store.write() as connection:
        connection.execute(insert(kinds), [{"name": name} for name in names])

    with store.read() as connection:
        found = list(connection.execute(select(kinds.c.name).order_by(kinds.c.name)).scalars())
        behind = connection.execute(select(kinds.c.name).where(kinds.c.name > "a")).scalars().all()
    assert found == sorted(names)
    assert sorted(behind) == sorted(name for name in names if name > "a")


def test_tables_made_anew_are_empty_and_have_their_new_columns(store: Store) -> None:
    add(store, 1)
    other = MetaData()
    newer = Table("thing", other, Column("id", Integer, primary_key=True), Column("new", String))
    with store.write() as connection:
        store.remake(connection, other)
        connection.execute(insert(newer).values(id=2, new="b"))

    with store.read() as connection:
        assert list(connection.execute(select(newer.c.id, newer.c.new))) == [(2, "b")]


def test_a_closed_store_can_be_opened_again(store: Store, opened: Callable[[int], Store]) -> None:
    add(store, 1)
    store.close()
    store.close()

    assert count(opened(0)) == 1

"""Rows of a projection: a batch is folded in memory and written at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, String, Table, event, select

from shared.consumers.rows import Rows
from shared.stores import SqliteStore, Store

TABLES = MetaData()
one_key = Table(
    "one_key",
    TABLES,
    Column("id", String, primary_key=True),
    Column("n", Integer, nullable=False),
    Column("text", String, nullable=False, default="none"),
    Column("done", Boolean, default=False),
    Column("at", DateTime(timezone=True)),
)
two_keys = Table(
    "two_keys",
    TABLES,
    Column("a", String, primary_key=True),
    Column("b", Integer, primary_key=True),
    Column("n", Integer, nullable=False),
)
only_keys = Table("only_keys", TABLES, Column("id", String, primary_key=True))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = SqliteStore(tmp_path / "views.db", durable=False)
    made.create(TABLES)
    yield made
    made.close()


def stored(store: Store, table: Table = one_key) -> list[tuple[Any, ...]]:
    with store.read() as connection:
        keys = list(table.primary_key)
        return [tuple(row) for row in connection.execute(select(table).order_by(*keys))]


@pytest.fixture
def rows(store: Store) -> Iterator[Rows]:
    with store.write() as connection:
        yield Rows(connection)


def test_nothing_is_written_before_the_flush(store: Store) -> None:
    with store.write() as connection:
        rows = Rows(connection)
        rows.put(one_key, {"id": "x", "n": 1})
        assert connection.execute(select(one_key)).all() == []

        assert rows.flush() == 1
        assert rows.flush() == 0

    assert stored(store) == [("x", 1, "none", False, None)]


def test_what_was_put_changed_and_dropped_is_seen_at_once(rows: Rows) -> None:
    assert rows.get(one_key, "x") is None
    rows.put(one_key, {"id": "x", "n": 1})
    rows.change(one_key, "x")["n"] += 1

    found = rows.get(one_key, "x")
    assert found is not None
    assert (found["n"], found["text"], found["done"]) == (2, "none", False)
    rows.drop(one_key, "x")
    assert rows.get(one_key, "x") is None


def test_changing_what_is_not_there_is_an_error(rows: Rows) -> None:
    with pytest.raises(KeyError):
        rows.change(one_key, "x")


def test_rows_of_earlier_batches_are_changed_in_place(store: Store) -> None:
    for _ in range(2):
        with store.write() as connection:
            rows = Rows(connection)
            rows.put(two_keys, {"a": "x", "b": 1, "n": 0}) if _ == 0 else None
            rows.change(two_keys, "x", 1)["n"] += 1
            rows.flush()

    assert stored(store, two_keys) == [("x", 1, 2)]


def test_a_row_that_was_dropped_can_come_back(store: Store) -> None:
    for n in (1, 2):
        with store.write() as connection:
            rows = Rows(connection)
            rows.drop(one_key, "x")
            rows.put(one_key, {"id": "x", "n": n})
            rows.flush()

    assert stored(store) == [("x", 2, "none", False, None)]


def test_a_table_of_keys_alone_can_be_put_again(store: Store) -> None:
    for _ in range(2):
        with store.write() as connection:
            rows = Rows(connection)
            rows.put(only_keys, {"id": "x"})
            rows.flush()

    assert stored(store, only_keys) == [("x",)]


def test_rows_that_name_different_columns_do_not_lose_any(store: Store) -> None:
    """They go into one statement; what the first one leaves out must not be lost of the others."""
    with store.write() as connection:
        rows = Rows(connection)
        rows.put(one_key, {"id": "a", "n": 1})
        rows.put(one_key, {"id": "b", "n": 2, "text": "said", "done": True})
        rows.flush()

    assert [row[:4] for row in stored(store)] == [("a", 1, "none", False), ("b", 2, "said", True)]


def test_an_instant_is_the_same_whether_it_comes_from_memory_or_from_the_store(
    store: Store,
) -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    with store.write() as connection:
        rows = Rows(connection)
        rows.put(one_key, {"id": "x", "n": 1, "at": at})
        rows.flush()
    with store.write() as connection:
        again = Rows(connection).get(one_key, "x")

    assert again is not None
    assert again["at"] == at
    assert again["at"] == datetime(2026, 1, 31, 10, tzinfo=UTC)


def test_rows_that_were_announced_are_loaded_together(store: Store) -> None:
    with store.write() as connection:
        rows = Rows(connection)
        for n in range(1000):
            rows.put(two_keys, {"a": str(n), "b": n, "n": n})
        rows.flush()
    asked: list[str] = []
    with store.write() as connection:
        event.listen(connection, "before_cursor_execute", lambda *a: asked.append(a[2]))
        rows = Rows(connection)
        rows.prefetch([(two_keys, (str(n), n)) for n in range(0, 2000, 2)] * 2)
        assert len(asked) == 3
        found = [rows.get(two_keys, str(n), n) for n in range(0, 2000, 2)]

    assert len(asked) == 3
    assert [row["n"] for row in found if row] == list(range(0, 1000, 2))
    assert found[500:] == [None] * 500


actions = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "change", "flush"]),
        st.sampled_from("abc"),
        st.integers(0, 9),
    ),
    max_size=30,
)


@settings(
    print_blob=True,
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=actions)
def test_batches_of_any_size_end_with_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str, int]]
) -> None:
    store = SqliteStore(tmp_path_factory.mktemp("views") / "views.db", durable=False)
    store.create(TABLES)
    expected: dict[str, int] = {}
    batches: list[list[tuple[str, str, int]]] = [[]]
    for action in actions:
        batches.append([]) if action[0] == "flush" else batches[-1].append(action)
    for batch in batches:
        with store.write() as connection:
            rows = Rows(connection)
            for kind, key, n in batch:
                if kind == "put":
                    expected[key] = n
                    rows.put(one_key, {"id": key, "n": n})
                elif kind == "drop":
                    expected.pop(key, None)
                    rows.drop(one_key, key)
                elif key in expected:
                    expected[key] += n
                    rows.change(one_key, key)["n"] += n
            rows.flush()

    assert {row[0]: row[1] for row in stored(store)} == expected
    store.close()

"""What a store in a file does beside what all stores do (tests/contract/test_stores.py)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, text

from shared.errors import Unavailable
from shared.stores import SqliteStore, Store

TABLES = MetaData()
things = Table("thing", TABLES, Column("id", Integer, primary_key=True), Column("text", String))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = SqliteStore(tmp_path / "state.db", durable=True)
    made.create(TABLES)
    yield made
    made.close()


def add(store: Store, n: int, content: str = "") -> None:
    with store.write() as connection:
        connection.execute(insert(things).values(id=n, text=content))


def count(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(things)).scalar_one())


def test_writers_take_turns(store: Store) -> None:
    threads = [threading.Thread(target=add, args=(store, n)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert count(store) == 16


def test_what_must_not_be_lost_is_synced_at_every_commit(tmp_path: Path) -> None:
    for durable, level in ((True, 2), (False, 1)):
        store = SqliteStore(tmp_path / f"{durable}.db", durable=durable)
        with store.read() as connection:
            assert connection.execute(text("PRAGMA synchronous")).scalar_one() == level
            assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        store.close()


def test_a_full_disk_is_told_in_our_words_and_undoes_everything(store: Store) -> None:
    def fill_up() -> None:
        with store.write() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.execute(insert(things).values(id=1, text="x" * 100_000))

    with pytest.raises(Unavailable, match="storage_full"):
        fill_up()
    assert count(store) == 0


def test_a_store_that_another_process_locks_is_busy(tmp_path: Path) -> None:
    mine, other = (SqliteStore(tmp_path / "state.db", durable=True) for _ in range(2))
    mine.create(TABLES)

    def write_without_patience() -> None:
        with mine.read() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            connection.execute(insert(things).values(id=1))

    with other.write():
        with pytest.raises(Unavailable, match="busy"):
            write_without_patience()
        assert count(mine) == 0
    mine.close()
    other.close()

"""A store in PostgreSQL whose server is killed, again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, delete, insert, select, text

from shared.errors import Unavailable
from shared.stores.postgres import PostgresStore
from tests.contract.log_checks import until
from tests.support.postgres import Server

PATIENCE = 60.0
WRITERS = 4
TABLES = MetaData()
things = Table("thing", TABLES, Column("id", Integer, primary_key=True))
again = select(things.c.id).order_by(things.c.id)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    found = Server()
    yield found
    found.remove()


@pytest.fixture
def store(mortal: Server) -> Iterator[PostgresStore]:
    made = PostgresStore(mortal.address(mortal.store_database()), "state_orders", durable=True)
    made.create(TABLES)
    yield made
    made.close()


def add(store: PostgresStore, n: int) -> None:
    with store.write() as connection:
        connection.execute(insert(things).values(id=n))


def there(store: PostgresStore) -> set[int]:
    with store.read() as connection:
        return set(connection.execute(select(things.c.id)).scalars())


def test_a_writer_whose_server_dies_has_written_nothing_and_may_come_again(
    mortal: Server, store: PostgresStore
) -> None:
    add(store, 1)

    def die_in_between() -> None:
        with store.write() as connection:
            connection.execute(delete(things))
            mortal.kill()
            connection.execute(text("SELECT 1"))

    with pytest.raises(Unavailable, match="log_unavailable"):
        die_in_between()
    with pytest.raises(Unavailable, match="log_unavailable"):
        there(store)
    mortal.start()

    assert there(store) == {1}
    add(store, 2)
    assert there(store) == {1, 2}


def test_a_question_is_asked_again_when_its_connection_was_lost_before(
    mortal: Server, store: PostgresStore
) -> None:
    add(store, 1)
    store.ask(again)
    store.ask(again)  # From now on it is prepared.
    mortal.kill()
    for query in (select(things.c.id), again):
        with pytest.raises(Unavailable, match="log_unavailable"):
            store.ask(query)
    mortal.start()
    assert [row.id for row in store.ask(again)] == [1]
    add(store, 2)
    name = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    mortal.say(f"{name} AND usename = 'pbxim'")

    assert [row.id for row in store.ask(again)] == [1, 2]


def written_to_disk(store: PostgresStore, n: int) -> bool:
    """Whether PostgreSQL's own log was flushed behind the row when the write came back."""
    with store.write() as connection:
        connection.execute(insert(things).values(id=n))
        before = connection.execute(text("SELECT pg_current_wal_insert_lsn()")).scalar_one()
    flushed = text("SELECT pg_current_wal_flush_lsn() > CAST(:before AS pg_lsn)")
    with store.read() as connection:
        return bool(connection.execute(flushed, {"before": before}).scalar_one())


def test_a_write_comes_back_when_it_is_on_the_disk_alone_and_among_others(
    store: PostgresStore,
) -> None:
    assert all(written_to_disk(store, n) for n in range(20))
    with ThreadPoolExecutor(WRITERS) as pool:
        assert all(pool.map(lambda n: written_to_disk(store, n), range(20, 80), timeout=PATIENCE))


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_the_server_was_killed_under_load(
    mortal: Server, store: PostgresStore
) -> None:
    enough = threading.Event()
    acked: list[int] = []
    refused: list[str] = []

    def write(n: int) -> None:
        number = n
        while not enough.is_set():
            number += WRITERS
            try:
                add(store, number)
            except Unavailable as error:
                refused.append(error.code)
                threading.Event().wait(0.01)
            else:
                acked.append(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(write, n) for n in range(WRITERS)]
        try:
            for _ in range(3):
                begin = len(acked)
                until(lambda begin=begin: len(acked) > begin + 100)
                mortal.kill()
                mortal.start()
        finally:
            enough.set()
        for future in writing:
            future.result(PATIENCE)

    assert len(acked) > 300
    assert set(acked) <= there(store)
    assert set(refused) == {"log_unavailable"}

"""Questions that are asked again in PostgreSQL, where they are prepared: what connections forget,
and tables that are changed meanwhile, must not be noticed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import StatementError

from shared.errors import Unavailable
from shared.stores.postgres import PostgresStore
from tests.contract.payment_servers import wait_until
from tests.support.postgres import server

ROOT = Path(__file__).parents[2]
TABLES = MetaData()
things = Table(
    "thing", TABLES, Column("id", Integer, primary_key=True), Column("text", String, index=True)
)


@pytest.fixture
def store() -> Iterator[PostgresStore]:
    """With one connection, so that what it knows is known."""
    address = server().address(server().store_database())
    made = PostgresStore(address, "state_orders", durable=True, connections=1)
    made.create(TABLES)
    with made.write() as connection:
        connection.execute(insert(things), [{"id": n, "text": f"<{n}>"} for n in range(4)])
    yield made
    made.close()


def by_id() -> Select[Any]:
    return select(things).where(things.c.id == bindparam("wanted"))


def asked(store: PostgresStore, query: Select[Any], wanted: Any, times: int = 3) -> list[Any]:
    answers = [[tuple(row) for row in store.ask(query, {"wanted": wanted})] for _ in range(times)]
    assert answers == [answers[0]] * times
    return answers[0]


def prepared(store: PostgresStore) -> int:
    with store.read() as connection:
        found = text("SELECT count(*) FROM pg_prepared_statements")
        return int(connection.execute(found).scalar_one())


def run(store: PostgresStore, statement: str) -> None:
    with store.write() as connection:
        connection.exec_driver_sql(statement)


def test_what_is_asked_again_is_prepared_once_and_what_is_built_for_each_call_never(
    store: PostgresStore,
) -> None:
    for n in range(3):
        assert asked(store, by_id(), n, times=1) == [(n, f"<{n}>")]
    assert prepared(store) == 0

    query = by_id()
    for n in range(3):
        assert asked(store, query, n) == [(n, f"<{n}>")]

    assert prepared(store) == 1


def test_a_connection_that_has_forgotten_its_questions_is_replaced(store: PostgresStore) -> None:
    query = by_id()
    asked(store, query, 1)
    # Outside of a transaction, as a pooler does it.
    with store.engine.connect() as connection:
        connection.exec_driver_sql("DISCARD ALL")

    assert asked(store, query, 2) == [(2, "<2>")]
    assert prepared(store) == 1


def test_a_name_that_is_taken_on_a_connection_helps_itself(store: PostgresStore) -> None:
    query, other = by_id(), by_id()
    asked(store, query, 1)
    (name,) = names(store)
    number = 1 + int(name.removeprefix("question_"))
    run(store, f"PREPARE question_{number} AS SELECT 'another'")

    assert asked(store, other, 2) == [(2, "<2>")]


def names(store: PostgresStore) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT name FROM pg_prepared_statements")).scalars())


def test_a_table_made_anew_with_other_columns_answers_as_it_is_now(store: PostgresStore) -> None:
    query = by_id()
    asked(store, query, 1, times=9)  # Planned for any value by now.
    other = MetaData()
    newer = Table("thing", other, Column("text", Integer), Column("id", Integer, primary_key=True))
    with store.write() as connection:
        store.remake(connection, other)
        connection.execute(insert(newer).values(id=1, text=7))

    assert asked(store, query, 1) == [(1, 7)]
    run(store, "ALTER TABLE thing ADD COLUMN more bigint DEFAULT 3")
    assert asked(store, query, 1) == [(1, 7)]
    run(store, "DROP TABLE thing")
    for _ in range(2):
        with pytest.raises(Unavailable, match="service_unavailable"):
            store.ask(query, {"wanted": 1})


def test_a_table_that_takes_the_place_of_another_is_the_one_that_is_asked(
    store: PostgresStore,
) -> None:
    query = by_id()
    asked(store, query, 1, times=9)
    run(
        store,
        "CREATE TABLE next (LIKE thing INCLUDING ALL); INSERT INTO next VALUES (1, 'new');"
        "ALTER TABLE thing RENAME TO previous; ALTER TABLE next RENAME TO thing",
    )

    assert asked(store, query, 1) == [(1, "new")]


def fill_draft_and_take_it(store: PostgresStore, content: str) -> None:
    with closing(store.draft()) as draft:
        with draft.write() as connection:
            draft.remake(connection, TABLES)
        for begin in (0, 50):  # A part of it is there before the rest.
            rows = [{"id": begin + n, "text": content} for n in range(50)]
            with draft.write() as connection:
                connection.execute(insert(things), rows)
    with store.write() as connection:
        store.take_draft(connection, TABLES)


def test_who_asks_while_tables_are_exchanged_sees_the_old_or_the_new_ones_whole() -> None:
    address = server().address(server().store_database())
    store = PostgresStore(address, "views_orders", durable=False, connections=4)
    store.create(TABLES)
    fill_draft_and_take_it(store, "0")
    query = select(things.c.text).where(things.c.id >= bindparam("least"))
    enough = threading.Event()

    def look() -> set[tuple[int, int]]:
        seen = set()
        while not enough.is_set():
            texts = [row.text for row in store.ask(query, {"least": 0})]
            seen.add((len(texts), len(set(texts))))
        return seen

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        try:
            for n in range(1, 16):
                fill_draft_and_take_it(store, str(n))
        finally:
            enough.set()
        seen = [future.result(30) for future in looking]

    assert seen == [{(100, 1)}] * 2
    assert {row.text for row in store.ask(query, {"least": 0})} == {"15"}
    store.close()


def test_a_question_finds_its_rows_by_an_index_whatever_the_table_was_like_before(
    store: PostgresStore,
) -> None:
    query = by_id()
    run(store, "DELETE FROM thing")
    run(store, "ANALYZE thing")
    asked(store, query, 1, times=9)
    run(store, "INSERT INTO thing SELECT n, n::text FROM generate_series(1, 20000) n")
    run(store, "ANALYZE thing")  # As PostgreSQL does by itself.

    (name,) = names(store)
    with store.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN EXECUTE {name} (77)").scalars().all()
    assert "Index Scan" in "\n".join(plan)
    assert asked(store, query, 77) == [(77, "77")]


def test_a_list_of_values_is_asked_as_it_is(store: PostgresStore) -> None:
    query = (
        select(things.c.id)
        .where(things.c.id.in_(bindparam("wanted", expanding=True)))
        .order_by(things.c.id)
    )

    assert asked(store, query, [1, 3]) == [(1,), (3,)]
    assert asked(store, query, [2]) == [(2,)]
    assert prepared(store) == 0


def test_what_json_cannot_say_is_asked_as_it_is(store: PostgresStore) -> None:
    query = select(literal_column("0.1::float8", Float), things.c.id).where(
        things.c.id == bindparam("wanted")
    )

    assert asked(store, query, 1) == [(0.1, 1)]
    assert prepared(store) == 0


def test_a_column_without_a_name_is_found_by_the_name_that_it_always_had(
    store: PostgresStore,
) -> None:
    query = select(func.count(), func.max(things.c.text).label("last")).where(
        things.c.id < bindparam("below")
    )

    for _ in range(3):
        (row,) = store.ask(query, {"below": 3})
        assert row._asdict() == {"count_1": 3, "last": "<2>"}


def test_rows_come_in_the_order_that_was_asked_for(store: PostgresStore) -> None:
    run(store, "INSERT INTO thing SELECT n, md5(n::text) FROM generate_series(10, 3000) n")
    query = (
        select(things)
        .where(things.c.id > bindparam("wanted"))
        .order_by(things.c.text.desc(), things.c.id)
        .limit(2000)
    )

    found = asked(store, query, 9, times=8)

    assert len(found) == 2000
    assert found == sorted(found, key=lambda row: row[1], reverse=True)
    assert prepared(store) == 1


def test_values_may_be_left_out_only_where_the_query_has_some(store: PostgresStore) -> None:
    query = by_id()
    asked(store, query, 1)
    with pytest.raises(StatementError, match="wanted"):
        store.ask(query)
    limited = select(things.c.id).where(things.c.id >= bindparam("wanted", 2)).order_by(things.c.id)

    assert [row.id for _ in range(3) for row in store.ask(limited)] == [2, 3] * 3
    assert asked(store, limited, 3) == [(3,)]


def test_a_connection_does_not_keep_questions_without_end(store: PostgresStore) -> None:
    queries = [by_id() for _ in range(450)]
    for query in queries:
        asked(store, query, 1, times=2)

    assert 0 < prepared(store) <= 200
    assert asked(store, queries[0], 2) == [(2, "<2>")]


def test_texts_are_the_same_however_they_come(store: PostgresStore) -> None:
    odd = ["%s %(wanted)s 100 %", "'\"\\ \n\t", "ü \U0001f600", "", "$1"]
    query = select(things.c.text, things.c.id).where(things.c.text == bindparam("wanted"))
    percent = query.where(things.c.text.not_like("no%thing"))
    with store.write() as connection:
        connection.execute(
            insert(things), [{"id": 10 + n, "text": one} for n, one in enumerate(odd)]
        )

    for n, one in enumerate(odd):
        assert asked(store, query, one) == asked(store, percent, one) == [(one, 10 + n)]
    assert asked(store, query, None) == []


GREEN = """
import eventlet
eventlet.monkey_patch()
import sys, time
from sqlalchemy import String, bindparam, cast, func, select
from shared.stores.postgres import PostgresStore
from deploy.waiting import wait_briefly

for _ in range(2):
    wait_briefly(eventlet.patcher.original("select"))
store = PostgresStore(sys.argv[1], "state_gateway", durable=True, connections=2)
slow = select(cast(func.pg_sleep(0.3), String).label("s"), cast(bindparam("n"), String).label("n"))

def ask(n):
    return [row.n for row in store.ask(slow, {"n": n})]

assert [ask("a"), ask("b")] == [["a"], ["b"]]
began = time.monotonic()
assert list(eventlet.GreenPool(2).imap(ask, "cd")) == [["c"], ["d"]]
assert time.monotonic() - began < 0.55, "one waited for the other"
for n in "efg":
    with eventlet.Timeout(0.1, False):
        ask(n)
        raise SystemExit("it was not cut off")
    assert ask(n.upper()) == [n.upper()]
"""


def test_green_threads_work_while_one_waits_long_and_one_that_is_cut_off_leaves_no_answer() -> None:
    address = server().address(server().store_database())
    command = [sys.executable, "-W", "ignore", "-c", GREEN, address]

    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stderr[-2000:]) == (0, "")


def test_the_connection_kept_for_questions_is_there_for_whoever_wants_the_last_one() -> None:
    address = server().address(server().store_database())
    store = PostgresStore(address, "state_orders", durable=True, connections=2, patience=1)
    store.create(TABLES)
    assert asked(store, by_id(), 7) == []

    with store.write() as connection, store.read() as beside:
        connection.execute(insert(things), {"id": 7, "text": "seven"})
        assert beside.execute(select(func.count()).select_from(things)).scalar_one() == 0

    assert asked(store, by_id(), 7) == [(7, "seven")]
    store.close()


def test_the_connection_kept_for_questions_is_always_the_same_and_ends_with_its_store() -> None:
    address = server().address(server().store_database())
    store = PostgresStore(address, "state_orders", durable=True, connections=3)
    store.create(TABLES)
    session = select(func.pg_backend_pid(type_=Integer()).label("pid"))
    store.ask(session)  # From now on it is prepared.
    pids = set()
    for _ in range(2):
        with store.read():  # Takes another one.
            pids |= {store.ask(session)[0][0] for _ in range(3)}
    store.close()

    assert len(pids) == 1
    with closing(psycopg2.connect(address)) as watching, watching.cursor() as cursor:
        wait_until(lambda: not running(cursor, pids))  # The server ends it in its own time.


def running(cursor: Any, pids: set[int]) -> list[Any]:
    cursor.execute("SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s)", (list(pids),))
    return list(cursor.fetchall())

"""What the log in PostgreSQL promises on top of the suite that every backend passes."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from deploy.migrations import migrate
from shared.errors import Broken, Unavailable
from shared.eventlog import Appended
from shared.eventlog.postgres import MIGRATION, PostgresLog
from shared.eventlog.postgres_append import append as call_append
from shared.eventlog.postgres_append import append_one
from shared.eventlog.postgres_pool import Pool, connect
from tests.contract.log_checks import PATIENCE, assert_in_order, at_once, everything, until
from tests.contract.log_writer import append, entry
from tests.support.postgres import OWNER, Server, server

ROOT = Path(__file__).parents[2]
WRITERS = 8


@pytest.fixture
def address(database: str) -> str:
    return server().address(database)


@pytest.fixture
def log(address: str) -> Iterator[PostgresLog]:
    opened = PostgresLog(address, connections=4)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def other_server() -> Iterator[Server]:
    """A second cluster, which may be killed."""
    found = Server()
    yield found
    found.remove()


# ── The shorter way ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("expected", [0, 2])
def test_what_the_shorter_way_refuses_changes_nothing(
    address: str, log: PostgresLog, expected: int
) -> None:
    known = entry("order-1", 0, "a", "b")
    log.append_batch([known])
    mixed = entry("order-1", expected, "c")
    mixed = mixed._replace(events=(*mixed.events, known.events[1]))
    alone = mixed._replace(events=known.events[1:])
    before = log.read_all(0, 100), log._ask("SELECT * FROM log.stream"), log.head()

    with closing(connect(address)) as connection:
        assert append_one(connection, entry("order-1", 1, "late")) is None
        assert append_one(connection, entry("order-1", 0, "late", "too")) is None
        assert append_one(connection, alone) is None
        assert append_one(connection, known) is None
        assert append_one(connection, mixed) is None

    assert (log.read_all(0, 100), log._ask("SELECT * FROM log.stream"), log.head()) == before


def test_both_ways_write_the_same(address: str, log: PostgresLog) -> None:
    first, second = entry("order-1", 0, "a", "b"), entry("order-1", 2, "c")
    with closing(connect(address)) as connection:
        assert append_one(connection, first) == Appended((1, 2))
        assert append_one(connection, second) == Appended((3,))
    shortly = log.read_stream("order-1")
    other = [one._replace(stream="order-2") for one in (first, second)]
    with closing(connect(address)) as connection:
        assert call_append(connection, other) == [Appended((4, 5)), Appended((6,))]

    for mine, theirs in zip(shortly, log.read_stream("order-2"), strict=True):
        assert (
            theirs._replace(
                position=mine.position,
                stream=mine.stream,
                recorded_at=mine.recorded_at,
                digest=mine.digest,
            )
            == mine
        )
    assert log._ask("SELECT version FROM log.stream") == [(3,), (3,)]


# ── The server goes away ──────────────────────────────────────────────────────────────────────────


def test_an_append_whose_answer_was_lost_is_made_again_and_not_doubled(
    address: str, log: PostgresLog
) -> None:
    pool = Pool(address, 2)
    wanted = entry("order-1", 0, "a", "b")
    tries: list[object] = []

    def work(connection: Any) -> object:
        tries.append(call_append(connection, [wanted]))
        if len(tries) == 1:
            log._ask("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
            connection.cursor().execute("SELECT 1")
        return tries[-1]

    written, again = Appended((1, 2)), Appended((1, 2), earlier=True)
    assert pool.run(work) == [again]
    assert tries == [[written], [again]]
    assert log.head() == 2
    pool.close()


def test_connections_that_were_cut_off_are_replaced(log: PostgresLog) -> None:
    at_once(4, lambda n: append(log, f"order-{n}", 0, "a"))
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pbxim'"
    server().say(f"{cut} AND datname IS NOT NULL AND pid <> pg_backend_pid()")

    assert len(everything(log)) == 4
    assert append(log, "order-5", 0, "b") == Appended((5,))


def test_a_connection_whose_preparation_was_cut_short_is_of_use_afterwards(
    database: str, address: str
) -> None:
    """What PREPARE has made stays, whatever happens to the rest of it; made twice it is refused."""
    with (
        closing(PostgresLog(f"{address}&options=-c%20statement_timeout%3D300")) as hurried,
        closing(psycopg2.connect(server().address(database, OWNER))) as owner,
    ):
        owner.cursor().execute("LOCK TABLE log.event IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            append(hurried, "order-1", 0, "a")
        owner.rollback()

        assert append(hurried, "order-1", 0, "a") == Appended((1,))


def test_a_server_killed_under_load_keeps_what_it_acknowledged(other_server: Server) -> None:
    log = PostgresLog(other_server.address(other_server.log_database()), connections=4)
    enough = threading.Event()
    refused: list[str] = []

    def write(n: int) -> list[str]:
        acked: list[str] = []
        while not enough.is_set():
            wanted = entry(f"order-{n}-{len(acked)}", 0, "a")
            try:
                log.append_batch([wanted])
            except Unavailable as error:
                refused.append(error.code)
                threading.Event().wait(0.01)
                continue
            acked.append(wanted.events[0].event_id.hex())
        return acked

    with ThreadPoolExecutor(4) as writers:
        writing = writers.map(write, range(4))
        try:
            for _ in range(2):
                begin = log.head()
                until(lambda begin=begin: log.head() > begin + 200)
                other_server.kill()
                before = len(refused)
                until(lambda before=before: len(refused) > before)
                other_server.start()
            begin = log.head()
            until(lambda: log.head() > begin + 50)
        finally:
            enough.set()  # Else the pool would wait for its writers for ever.
        acked = [event for some in writing for event in some]

    there = [event.event_id.hex() for event in everything(log)]
    assert len(acked) > 450
    assert set(acked) <= set(there)
    assert len(there) == len(set(there))
    assert set(refused) == {"log_unavailable"}
    assert_in_order(log)
    log.close()


def test_a_dump_is_read_by_a_new_cluster(
    log: PostgresLog, database: str, other_server: Server, tmp_path: Path
) -> None:
    log.append_batch([entry(f"order-{n}", 0, "ä\\u00e4", "b") for n in range(500)])
    append(log, "order-7", 2, "c")
    before = everything(log)
    dump = server().folder / "dump.sql"
    restored = other_server.empty_database()

    server().run("pg_dump", "-f", str(dump), "-d", server().address(database, "postgres"))
    into = other_server.address(restored, "postgres")
    other_server.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dump), "-d", into)

    again = PostgresLog(other_server.address(restored))
    assert everything(again) == before
    assert again.log_id == log.log_id
    assert again.read_stream("order-7") == log.read_stream("order-7")
    assert append(again, "order-7", 3, "d") == Appended((1002,))
    again.close()


# ── The bell ──────────────────────────────────────────────────────────────────────────────────────


def test_an_append_of_another_process_rings(address: str, log: PostgresLog) -> None:
    rung = threading.Semaphore(0)
    listening = PostgresLog(address, rung.release)
    assert rung.acquire(timeout=PATIENCE)  # It says once that it listens.

    for n in range(5):
        while rung.acquire(blocking=False):
            pass
        append(log, f"order-{n}", 0, "a")
        # The poll behind it would do as well, but five times within a second it cannot.
        assert rung.acquire(timeout=PATIENCE)
    listening.close()
    assert not any(thread.name == "log-bell" for thread in threading.enumerate())


@pytest.fixture
def many_files() -> Iterator[None]:
    """So many that the next one has a number that select() does not know."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 2000, "this machine allows too few open files"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    with contextlib.ExitStack() as held:
        for _ in range(1024):
            held.enter_context(Path(os.devnull).open("rb"))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_bell_rings_in_a_process_with_a_thousand_open_files(
    address: str, log: PostgresLog, many_files: None
) -> None:
    rung = threading.Semaphore(0)
    listening = PostgresLog(address, rung.release)
    for _ in range(3):  # Also when nothing happens, once in a second.
        assert rung.acquire(timeout=PATIENCE)
    listening.close()


# ── Who may what ──────────────────────────────────────────────────────────────────────────────────

FORBIDDEN = (
    "INSERT INTO log.event SELECT * FROM log.event",
    "INSERT INTO log.stream VALUES ('order-1', 1)",
    "UPDATE log.stream SET version = version + 1",
    "UPDATE log.head SET position = position + 1",
    "UPDATE log.event SET type = 'Other'",
    "DELETE FROM log.event",
    "TRUNCATE log.event",
    "UPDATE log.head SET log_id = 'other'",
    "DELETE FROM log.head",
    "INSERT INTO log.head VALUES (false, 1, 'x')",
    "DELETE FROM log.stream",
    "UPDATE log.stream SET stream = 'x'",
    "ALTER TABLE log.event DISABLE TRIGGER ALL",
    "DROP TABLE log.event",
    "CREATE TABLE log.mine (x int)",
    "CREATE OR REPLACE FUNCTION log.refuse() RETURNS trigger LANGUAGE sql AS ''",
    "SET session_replication_role = replica",
    "UPDATE log.alembic_version SET version_num = '9'",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_application_may_only_add_and_read(address: str, statement: str) -> None:
    connection = psycopg2.connect(address)

    with closing(connection), pytest.raises(psycopg2.errors.InsufficientPrivilege):
        connection.cursor().execute(statement)


def test_no_table_of_the_caller_takes_the_place_of_the_log_s(address: str) -> None:
    """The functions run with their owner's rights, so the caller must not lead them astray."""
    pool = Pool(address, 1)

    def work(connection: Any) -> object:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE unnest (x int); SET search_path = pg_temp, log")
        return call_append(connection, [entry("order-1", 0, "a", "b"), entry("order-2", 0, "c")])

    found = pool.run(work)
    pool.close()
    assert found == [Appended((1, 2)), Appended((3,))]


_LIES = "".join(
    f"CREATE FUNCTION evil.{name} LANGUAGE plpgsql AS $$ BEGIN RAISE 'astray'; END $$;"
    for name in (
        "lie(bigint, int) RETURNS boolean",
        "lie(bigint, bigint) RETURNS boolean",
        "lie(text, text) RETURNS boolean",
        "lie(bytea, bytea) RETURNS boolean",
        "more(bigint, int) RETURNS bigint",
        "times(numeric, int) RETURNS numeric",
        "clock_timestamp() RETURNS timestamptz",
        "pg_notify(text, text) RETURNS void",
        "pg_advisory_xact_lock(int) RETURNS void",
    )
)
_LIES += "".join(
    f"CREATE OPERATOR evil.{name}"
    f" (FUNCTION = evil.{function}, LEFTARG = {left}, RIGHTARG = {right});"
    for name, function, left, right in (
        ("=", "lie", "bigint", "int"),
        ("=", "lie", "bigint", "bigint"),
        ("=", "lie", "text", "text"),
        ("=", "lie", "bytea", "bytea"),
        ("+", "more", "bigint", "int"),
        ("*", "times", "numeric", "int"),
    )
)


@pytest.mark.parametrize("question", ["1::int8 = 1", "'a'::text = 'b'::text", "1::int8 + 1"])
def test_no_operator_of_the_caller_takes_the_place_of_postgresql_s(
    database: str, address: str, question: str
) -> None:
    lies = f"CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; {_LIES}"
    server().say(lies, database)
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("SET search_path = evil, pg_catalog, log")
        for one in (
            entry("order-1", 0, "a"),
            entry("order-1", 1, "b"),
            entry("order-1", 2, "c", "d"),
        ):
            assert append_one(connection, one) is not None
        with pytest.raises(psycopg2.errors.RaiseException, match="astray"):
            cursor.execute(f"SELECT {question}")  # nosec B608  # They would be in its place.


# ── Migrations ────────────────────────────────────────────────────────────────────────────────────


def dumped(found: Server, database: str, path: Path) -> str:
    found.run("pg_dump", "-f", str(path), "-d", found.address(database, "postgres"))
    # Newer versions of pg_dump put a word of their own into every dump.
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("\\"))


def test_a_second_migration_changes_nothing(database: str) -> None:
    owner, path = server().address(database, OWNER), server().folder / "schema.sql"
    before = dumped(server(), database, path)

    assert migrate(owner) == MIGRATION
    assert dumped(server(), database, path) == before
    assert "CREATE TABLE log.event" in before


def test_two_migrations_at_once_make_one_log() -> None:
    owner = server().address(server().empty_database(), OWNER)

    assert at_once(2, lambda _: migrate(owner)) == [MIGRATION] * 2


def test_a_database_that_was_not_migrated_is_refused(database: str) -> None:
    with pytest.raises(Broken, match="log_not_migrated"):
        PostgresLog(server().address(server().empty_database()))
    server().say("UPDATE log.alembic_version SET version_num = '0000'", database)
    with pytest.raises(Broken, match=f"log_not_migrated.*{MIGRATION} is needed"):
        PostgresLog(server().address(database))


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="log_unavailable"):
        PostgresLog(f"postgresql://pbxim@/x?host={tmp_path}")

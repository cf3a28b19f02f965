"""State and views in PostgreSQL: what differs from a file must not be seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from deploy.assembly import assemble
from deploy.ground import all_specs
from deploy.migrations import migrate_stores
from deploy.stores import SCHEMAS, open_store, throw_views_away
from services import gateway
from services.gateway.idempotency import Answers, Asked
from services.gateway.state import TABLES
from shared import config
from shared.errors import Broken, Conflict, Unavailable
from shared.sealing import Wrapper
from shared.stores import KEYS, Store
from shared.stores.postgres import PostgresStore
from tests.integration.gateway.sites import make_site
from tests.support.post import Post, fill, notes, service
from tests.support.postgres import OWNER, server
from tests.support.worlds import World

PATIENCE = 60.0
SPECS = (*all_specs(), gateway.spec())


def sandbox(folder: Path, **more: str) -> config.Settings:
    named = {f"PBXIM_{name.upper()}": found for name, found in more.items()}
    return config.load({"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(folder)} | named)


@pytest.fixture
def stores() -> str:
    """The address of a database with empty stores, as the application."""
    return server().address(server().store_database())


# ── Several processes ─────────────────────────────────────────────────────────────────────────────


def test_two_runners_carry_out_nothing_twice(tmp_path: Path, stores: str) -> None:
    post = Post()
    log = server().address(server().log_database())
    places = {"log": log, "key_file": str(tmp_path / "master.key")}
    worlds = [
        World(
            tmp_path / str(n), [service(post)], database=f"{stores}&application_name=n{n}", **places
        )
        for n in range(2)
    ]
    names = [f"box{n}" for n in range(30)]
    fill(worlds[0], *names)
    begin = threading.Barrier(2)
    failed: list[BaseException] = []

    def run(world: World) -> None:
        begin.wait(PATIENCE)
        try:
            world.settle()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run, args=(world,)) for world in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    for world in worlds:
        world.settle()

    assert failed == []
    assert sorted(post.book) == sorted(f"{name}/1" for name in names)
    assert len(post.attempts) == len(names)
    assert sorted(notes(worlds[0])) == sorted(f"sent {name}/1" for name in names)
    for world in worlds:
        world.close()


def test_of_requests_with_one_key_to_several_gateways_one_runs(stores: str) -> None:
    asked = Asked("acct_1", "POST /v1/orders", "key-1", b"same")
    begin = threading.Barrier(6)

    def ask(n: int) -> str:
        store = PostgresStore(f"{stores}&application_name=n{n}", "state_gateway", durable=True)
        store.create(TABLES)
        answers = Answers(store, Wrapper(b"k" * 32), set())
        begin.wait(PATIENCE)
        try:
            found = answers.begin(asked, now=1000)
        except Conflict as error:
            return error.code
        finally:
            store.close()
        return type(found).__name__

    with ThreadPoolExecutor(6) as pool:
        found = sorted(
            future.result(PATIENCE) for future in [pool.submit(ask, n) for n in range(6)]
        )
    assert found == ["Running"] + ["idempotency_key_in_use"] * 5


def test_a_process_that_asks_before_the_tables_are_made_is_told_to_come_again(stores: str) -> None:
    store = PostgresStore(stores, "views_orders", durable=False)
    with pytest.raises(Unavailable) as raised, store.read() as connection:
        connection.execute(text("SELECT * FROM customer_order"))
    store.close()

    assert raised.value.code == "service_unavailable"


# ── The database and its roles ────────────────────────────────────────────────────────────────────


def test_the_application_needs_no_more_than_its_schemas(tmp_path: Path) -> None:
    name = server().empty_database()
    owner, application = server().address(name, OWNER), server().address(name)
    assert [migrate_stores(owner), migrate_stores(owner)] == [len(SCHEMAS)] * 2

    for _ in range(2):
        made = assemble(sandbox(tmp_path / "data", database=application), SPECS)
        made.settle()
        made.close()
    with pytest.raises(Broken, match="log_not_migrated"):
        PostgresStore(application, "state_elsewhere", durable=True).create(KEYS)


def test_views_that_are_thrown_away_are_built_anew(tmp_path: Path, stores: str) -> None:
    site = make_site(tmp_path / "data", database=stores)
    site.customer()
    settings, views = site.world.assembly.settings, site.world.views
    places = text("SELECT consumer, position FROM views_billing.checkpoint ORDER BY consumer")

    def stored() -> list[tuple[str, int]]:
        with views.read() as connection:
            return [(row.consumer, row.position) for row in connection.execute(places)]

    before = stored()
    site.world.assembly.close()
    throw_views_away(settings)
    with pytest.raises(Unavailable):
        stored()
    assembly = assemble(settings, SPECS)
    assembly.settle()

    assert before
    assert stored() == before
    assembly.close()
    views.close()


def test_a_database_that_was_not_prepared_says_so(tmp_path: Path) -> None:
    address = server().address(server().empty_database())
    with pytest.raises(Broken, match="log_not_migrated"):
        assemble(sandbox(tmp_path / "data", database=address), SPECS)


def test_what_was_written_is_on_the_disk_but_views_need_not_be(tmp_path: Path, stores: str) -> None:
    settings = sandbox(tmp_path, database=stores)
    there: dict[str, list[bool]] = {"state": [], "views": []}
    for kind, found in there.items():
        store = open_store(settings, kind, "orders")
        store.create(KEYS)
        for n in range(50):
            before = place(store, "insert")
            add_key(store, str(n))
            found.append(place(store, "flush") > before)
        store.close()

    assert all(there["state"])
    assert not all(there["views"])


def place(store: Store, which: str) -> int:
    # Not "all is flushed": the server writes something of its own now and then.
    with store.read() as connection:
        query = text(f"SELECT (pg_current_wal_{which}_lsn() - '0/0')::bigint")
        return int(connection.execute(query).scalar_one())


# ── Trouble ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def store(stores: str) -> Iterator[PostgresStore]:
    made = PostgresStore(stores, "state_orders", durable=True, connections=2, patience=1)
    made.create(KEYS)
    yield made
    made.close()


def keys_in(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM subject_key")).scalar_one())


def add_key(store: Store, subject: str) -> None:
    (keys,) = KEYS.sorted_tables
    with store.write() as connection:
        now = connection.execute(text("SELECT now()")).scalar_one()
        connection.execute(keys.insert().values(subject=subject, made_at=now))


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("53100", "storage_full"),
        ("40P01", "busy"),
        ("40001", "busy"),
        ("55P03", "busy"),
        ("57P01", "log_unavailable"),
        ("25006", "log_unavailable"),
    ],
)
def test_errors_of_the_server_are_told_in_our_words(
    store: PostgresStore, state: str, code: str
) -> None:
    def fail() -> None:
        with store.write() as connection:
            connection.execute(text("INSERT INTO subject_key VALUES ('a', NULL, now(), NULL)"))
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")

    with pytest.raises(Unavailable) as raised:
        fail()
    assert raised.value.code == code
    assert keys_in(store) == 0
    add_key(store, "b")


def test_who_waits_too_long_for_a_connection_or_for_the_turn_is_told(
    store: PostgresStore, stores: str
) -> None:
    neighbour = PostgresStore(f"{stores}&connect_timeout=9", "state_orders", durable=True)
    with neighbour.write(), pytest.raises(Unavailable, match="busy"):
        add_key(store, "a")
    with store.write(), pytest.raises(Unavailable, match="busy"):
        add_key(store, "a")
    with store.read(), store.read(), pytest.raises(Unavailable, match="busy"):
        keys_in(store)

    add_key(store, "a")
    assert keys_in(neighbour) == 1
    neighbour.close()


def test_connections_that_were_cut_off_are_replaced(store: PostgresStore) -> None:
    add_key(store, "a")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pbxim'"
    server().say(cut)

    add_key(store, "b")
    server().say(cut)
    assert keys_in(store) == 2

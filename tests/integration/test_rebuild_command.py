"""``pbxim projections rebuild`` beside a product that works, and killed where it hurts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, func, select, text, update

from deploy.ground import all_specs
from deploy.rebuild import read_models
from deploy.single import make_lock
from deploy.stores import SERVICES
from services.billing.projections import account
from services.inventory.tables import block, offer
from services.orders.projections import customer_order, tenure
from shared import failpoints
from shared.consumers.feed import Feed
from shared.consumers.projections import ProjectionConsumer
from shared.stores import SqliteStore
from tests.integration.gateway.sites import Caller, Site, make_site
from tests.support.postgres import server
from tests.support.product import ROOT

PATIENCE = 60.0
# In steps of a few events, so that there is a middle.
COMMAND = (
    "from shared.consumers import projections; projections._BATCH = 10;"
    "from deploy.cli import main; main()"
)
LOOKED_AT = (
    ("billing", account),
    ("inventory", block),
    ("inventory", offer),
    ("orders", customer_order),
    ("orders", tenure),
)
# Where it dies, and when it comes there for which time: in the middle, and around the exchanges.
DEATHS = (
    ("checkpoint.before", 9),
    ("swap.before", 3),
    ("swap.after", 1),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Accounts with their free numbers."""
    named: dict[str, Any] = {}
    if request.param == "postgresql":
        log, stores = server().log_database(), server().store_database()
        named = {"log": server().address(log), "database": server().address(stores)}
    made = make_site(tmp_path / "data", **named).stocked()
    for _ in range(8):
        made.customer()
    yield made
    made.stop()


def environment(site: Site, points: Path | None = None) -> dict[str, str]:
    settings = site.world.assembly.settings
    named = {"PBXIM_DATA": str(settings.data), "PBXIM_PROCESS": "rebuild"}
    if settings.database is not None:
        named |= {"PBXIM_DATABASE": settings.database, "PBXIM_LOG": settings.log}
    if points is not None:
        named["PBXIM_FAILPOINT"] = f"orders:{points}"
    return os.environ | named


def rebuild(
    site: Site, *words: str, points: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "projections", "rebuild", *words],
        cwd=ROOT,
        env=environment(site, points),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def count(site: Site, service: str, table: Table) -> int:
    views = site.world.assembly.ground.runtime(service).views
    ((found,),) = views.ask(select(func.count()).select_from(table))
    return int(found)


@contextmanager
def at_work(*parts: Any) -> Iterator[None]:
    """Does these things again and again, each in a thread; what fails in one fails here."""
    ended, failed = threading.Event(), list[BaseException]()

    def repeat(part: Any) -> None:
        try:
            while not ended.wait(0.05):  # Else these threads leave the others nothing.
                part()
        except BaseException as error:  # noqa: BLE001  # The test raises it.
            failed.append(error)

    threads = [threading.Thread(target=repeat, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert failed == []


class Reader:
    """Looks at tables and at a customer's list; neither ever has less than before."""

    def __init__(self, site: Site, customer: Caller) -> None:
        self._site = site
        self._customer = customer
        self._most: dict[str, int] = {}
        self.looks = 0

    def __call__(self) -> None:
        for service, table in LOOKED_AT:
            self._see(table.name, count(self._site, service, table))
        views = self._site.world.assembly.ground.runtime("orders").views
        with views.read() as connection:
            for table in (customer_order, tenure):
                query = select(func.count()).select_from(table)
                self._see(table.name, connection.execute(query).scalar_one())
        listed = self._customer.get("/v1/numbers")
        assert listed.status_code == 200, listed.text
        self._see("numbers", len((listed.json or {})["data"]))
        self.looks += 1

    def _see(self, what: str, rows: int) -> None:
        assert rows >= self._most.get(what, 1), what
        self._most[what] = rows


def rows_of(connection: Any, table: Table) -> list[tuple[Any, ...]]:
    found = connection.execute(select(table).order_by(*table.primary_key))
    return [tuple(map(_as_stored, row)) for row in found]


def _as_stored(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def assert_rows_are_those_of_the_log(site: Site, folder: Path) -> None:
    """Compares them with read models that are built from nothing."""
    world = site.world
    with closing(SqliteStore(folder / "scratch.db", durable=False)) as scratch:
        for service, projection in read_models(all_specs()):
            if projection.name.startswith("timers:"):
                continue  # The scheduler takes away what it has fired.
            fresh = ProjectionConsumer(
                projection, Feed(world.log, world.application.codec), scratch
            )
            while fresh.step():
                pass
            assert fresh.position == world.log.head()
            views = world.assembly.ground.runtime(service).views
            with views.read() as live, scratch.read() as wanted:
                for table in projection.tables.sorted_tables:
                    assert rows_of(live, table) == rows_of(wanted, table), table.name


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readers_never_see_less_while_it_is_killed_and_run_again_under_writers(
    site: Site, tmp_path: Path
) -> None:
    customer = site.customer()
    spoil(site)
    site.start()
    reader = Reader(site, customer)
    points = tmp_path / "points"
    points.mkdir()
    with at_work(reader, site.customer):
        for place, times in DEATHS:
            failpoints.order(points, "rebuild", place, times)
            killed = rebuild(site, points=points)
            assert killed.returncode == -signal.SIGKILL, killed
        done = rebuild(site)
    assert failpoints.carried_out(points) == [("rebuild", place) for place, _ in DEATHS]
    assert done.returncode == 0, done.stderr
    assert reader.looks > 10

    site.world.assembly.engine.stop(PATIENCE)
    site.world.settle()
    assert_rows_are_those_of_the_log(site, tmp_path)
    assert not list((tmp_path / "data").glob("views.db.draft*"))


def spoil(site: Site) -> None:
    views = site.world.assembly.ground.runtime("orders").views
    with views.write() as connection:
        connection.execute(update(tenure).values(description="spoilt"))


def test_it_says_what_is_read_now_and_up_to_where(site: Site) -> None:
    head = site.world.log.head()
    some = rebuild(site, "--only", "stock", "--only", "orders")
    every = rebuild(site, "--afresh")

    lines = [line.split(maxsplit=2) for line in some.stdout.splitlines()]
    assert sorted(lines) == [[name, str(head), "is read now"] for name in ("orders", "stock")]
    names = {projection.name for _, projection in read_models(all_specs())}
    assert {line.split()[0] for line in every.stdout.splitlines()} == names
    assert f"built {len(names)} read models anew" in every.stderr


def state_of(site: Site) -> dict[str, list[str]]:
    """Every row of it: what consumers have done, effects, parked events, users."""
    found: dict[str, list[str]] = {}
    for service in SERVICES:
        tables = MetaData()
        with site.world.assembly.ground.runtime(service).state.read() as connection:
            tables.reflect(connection)
            for table in tables.sorted_tables:
                rows = sorted(map(repr, connection.execute(select(table))))
                found[f"{service}.{table.name}"] = rows
    return found


def test_nothing_is_recorded_or_done_again(site: Site, tmp_path: Path) -> None:
    spoil(site)
    head, state = site.world.log.head(), state_of(site)

    done = rebuild(site)

    assert done.returncode == 0, done.stderr
    assert state_of(site) == state
    site.settle()
    assert site.world.log.head() == head
    assert_rows_are_those_of_the_log(site, tmp_path)


def test_of_two_at_once_one_is_refused(site: Site) -> None:
    lock = make_lock(site.world.assembly.settings, "rebuild")
    assert lock.acquire()
    refused = rebuild(site)
    lock.release()

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "pbxim: Another rebuild is at work. (rebuild_running)" in refused.stderr
    assert rebuild(site, "--only", "stock").returncode == 0


def test_a_read_model_that_there_is_not_is_named_with_those_there_are(site: Site) -> None:
    refused = rebuild(site, "--only", "stocks")

    assert refused.returncode == 1
    assert "There is no read model stocks. There are: " in refused.stderr
    assert "(setting_invalid)" in refused.stderr


@pytest.mark.parametrize("site", ["postgresql"], indirect=True)
def test_a_database_without_drafts_is_to_be_migrated_and_serves_on(site: Site) -> None:
    owner = site.world.assembly.settings.database or ""
    name = owner.rpartition("?")[0].rpartition("/")[2]
    server().say(f"REVOKE CREATE ON DATABASE {name} FROM pbxim_app", name)
    server().say("DROP SCHEMA views_orders_draft CASCADE", name)
    refused = rebuild(site)

    assert refused.returncode == 1
    assert "(log_not_migrated)" in refused.stderr
    assert count(site, "orders", customer_order) > 0
    site.customer()
    with site.world.assembly.ground.runtime("orders").views.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1

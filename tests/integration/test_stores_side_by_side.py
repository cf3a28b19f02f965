"""The same log, folded into files and into PostgreSQL: same rows, same answers, same pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Table, select

from deploy.ground import all_specs
from deploy.payment_sandbox.process import SandboxProcess, start_sandbox
from services import gateway
from services.orders.projections import tenure
from shared.consumers.row_forms import form_of
from shared.rpc import OWNER, STAFF
from shared.stores import KEYS, Store
from tests.integration.gateway.sites import Site, make_site
from tests.support.postgres import server
from tests.support.worlds import World, context

SPECS = (*all_specs(), gateway.spec())


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    folder = tmp_path_factory.mktemp("payments")
    running = start_sandbox(folder, secret_key="sk_test_gateway", publishable_key="pk_test_gateway")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, payments: SandboxProcess
) -> Iterator[tuple[World, World]]:
    """An installation in files, with some business, and its log folded into PostgreSQL, in a
    database of another order of texts than ours."""
    folder = tmp_path_factory.mktemp("both")
    site = make_site(folder / "files", payments, database="").stocked().start()
    do_business(site)
    site.stop()
    site = make_site(folder / "files", payments, database="")
    site.settle()
    shutil.copytree(folder / "files", folder / "other")
    (folder / "other" / "views.db").unlink(missing_ok=True)
    address = server().address(server().store_database_of_another_locale())
    other = World(folder / "other", SPECS, database=address)
    copy_keys(site.world, other)
    for projection in other.assembly.projections():
        while projection.step():
            pass
        assert projection.failure is None
    yield site.world, other
    other.close()
    site.stop()


def do_business(site: Site) -> None:
    """Two accounts: purchases, a declined card, money given back, labels."""
    first, second = site.customer("pm_card_visa"), site.customer("pm_card_visa")
    for caller, city, quantity in (
        (first, "New York", 3),
        (second, "Albany", 1),
        (first, "Amsterdam", 2),
        (second, "New York", 2),
    ):
        items = [{"offer_id": site.offer(city)["offer_id"], "quantity": quantity}]
        answer = caller.post("/v1/orders?wait=20", {"items": items})
        assert answer.status_code == 201, answer.text
    declined = site.customer("pm_card_chargeCustomerFail")
    wanted = {"items": [{"offer_id": site.offer()["offer_id"], "quantity": 1}]}
    assert declined.post("/v1/orders?wait=20", wanted).status_code in {201, 202}
    order = first.get("/v1/orders").json["data"][0]["id"]
    back = {"amount": {"amount": "0.50", "currency": "EUR"}, "reason": "a gift"}
    returned = site.staff().post(f"/v1/orders/{order}/refunds", back)
    assert returned.status_code in {200, 201, 202}, returned.text
    for n, number in enumerate(first.get("/v1/numbers").json["data"]):
        path = f"/v1/numbers/{number['number']}"
        body = {"description": f"Büro {n}", "labels": ["a-b", "Ab", f"ä {n}"]}
        labelled = first.ask("PATCH", path, json=body)
        assert labelled.status_code == 200, labelled.text


def copy_keys(of: World, to: World) -> None:
    (keys,) = KEYS.sorted_tables
    with of.state.read() as connection:
        rows = [dict(row) for row in connection.execute(select(keys)).mappings()]
    into = to.assembly.ground.store("state", "keys")
    with into.write() as connection:
        connection.execute(keys.insert(), rows)


def rows_of(store: Store, table: Table) -> list[dict[str, Any]]:
    with store.read() as connection:
        keys = list(connection.execute(select(*table.primary_key).order_by(*table.primary_key)))
        form = form_of(table, connection.dialect)
        found = {form.key_of(row): row for row in form.select(connection, [tuple(k) for k in keys])}
    return [found[tuple(key)] for key in keys]


def test_every_view_has_the_same_rows_in_both(both: tuple[World, World]) -> None:
    files, postgres = both
    filled = 0
    for one, other in zip(
        files.assembly.projections(), postgres.assembly.projections(), strict=True
    ):
        assert one.name == other.name
        for table in one.projection.tables.sorted_tables:
            there = rows_of(postgres.views, other.projection.tables.tables[table.name])
            assert there == rows_of(files.views, table), table.name
            filled += bool(there)
    assert filled >= 12


def walk(world: World, service: str, method: str, account: str, **asked: Any) -> list[Any]:
    roles = (OWNER,) if account != "acct_staff" else (STAFF,)
    pages, after = [], None
    while True:
        who = context(account, roles=roles)
        page = world.client.call(service, method, who, limit=1, after=after, **asked)
        pages.append(page)
        after = page["next"]
        if after is None:
            return pages


OFFERS = ("city", "prefix", "type", "setup", "monthly", "minute", "sms", "available", "unit_cost")
NUMBERS = ("number", "type", "city", "sms", "channels", "monthly_cost", "paid_until", "status")


@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in OFFERS for sign in ("", "-")])
def test_a_search_walks_the_same_pages_in_both(both: tuple[World, World], sort: str) -> None:
    asked = {"country": "US", "sort": sort}
    pages = [walk(world, "inventory", "search_available", "acct_1", **asked) for world in both]

    assert len(pages[0]) >= 2
    assert pages[0] == pages[1]


@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in NUMBERS for sign in ("", "-")])
def test_a_list_of_numbers_walks_the_same_pages_in_both(
    both: tuple[World, World], sort: str
) -> None:
    (account,) = {n["account_id"] for n in numbers(both[0]) if n["city"] == "Amsterdam"}
    pages = [walk(world, "orders", "list_numbers", account, sort=sort) for world in both]

    assert len(pages[0]) >= 5
    assert pages[0] == pages[1]


def numbers(world: World) -> list[dict[str, Any]]:
    return rows_of(world.views, tenure)


def test_other_questions_have_the_same_answers_in_both(both: tuple[World, World]) -> None:
    (account,) = {n["account_id"] for n in numbers(both[0]) if n["city"] == "Amsterdam"}

    def ask(world: World) -> list[Any]:
        who, staff = context(account), context("acct_staff", roles=(STAFF,))
        call = world.client.call
        return [
            call("inventory", "list_countries", who),
            call("inventory", "suggest_cities", who, country="US"),
            call("inventory", "count_without", who, country="US", type="mobile", sms=True),
            call("inventory", "get_stock", staff),
            call("orders", "list_orders", who),
            call("orders", "count_numbers", who),
            call("orders", "list_numbers", who, q="bü"),
            call("orders", "list_numbers", who, label="a-b"),
            call("orders", "list_operator_orders", staff),
            call("billing", "list_charges", who),
            call("billing", "list_payment_methods", who),
            call("billing", "get_balance", who),
        ]

    files, postgres = map(ask, both)
    assert files == postgres

"""The product with its log in KurrentDB, and how it says what is missing."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deploy import cli
from deploy.ground import all_specs
from deploy.payment_sandbox.book import Book
from deploy.payment_sandbox.process import SandboxProcess, start_sandbox
from shared.consumers import checkpoints
from shared.errors import Broken
from shared.rpc import STAFF
from tests.contract.log_checks import until
from tests.support import boxes
from tests.support.kurrentdb import server
from tests.support.worlds import World, context

SECRET_KEY = "sk_test_kurrentdb"
STOCK = (
    "country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,"
    "min_period_months,per_minute,connect_fee,currency,billing_increments\n"
    "US,MD,Rockville,301,geographic,+13012791100,4,true,0.50,1.26,1,0.0085,0.0000,USD,60/1\n"
)
SPECS = [boxes.box_service(projections=(boxes.projection(),))]


def pbxim(data: Path, log: str, *words: str) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(cli.app, words, env={"PBXIM_DATA": str(data), "PBXIM_LOG": log})


def test_an_installation_keeps_its_events_there_and_reads_them_again(tmp_path: Path) -> None:
    address = server().address()
    world = World(tmp_path, SPECS, log=address)
    for n in range(3):
        world.execute(boxes.FillBox(box_id=f"{n}", amount=3), by=f"{n}")
    world.settle()
    shown, head = boxes.shown(world.views), world.log.head()

    world.close()
    for path in tmp_path.glob("views.db*"):
        path.unlink()
    again = World(tmp_path, SPECS, log=address)
    again.settle()

    assert len(shown) == 3
    assert boxes.shown(again.views) == shown
    assert again.log.head() == head
    assert not (tmp_path / "log.db").exists()
    again.close()
    tail = pbxim(tmp_path, address, "events", "tail", "-n", "2").stdout.splitlines()
    assert [n in line for n, line in zip(("box-1", "box-2"), tail, strict=True)] == [True, True]
    assert "box-2" in pbxim(tmp_path, address, "events", "show", "--last").stdout
    assert pbxim(tmp_path, address, "migrate").exit_code == 0


def test_a_few_events_that_it_does_not_want_move_no_stored_place(tmp_path: Path) -> None:
    """Positions are kilobytes apart here, and a place is stored after so many events."""
    world = World(tmp_path, SPECS, log=server().address())
    world.execute(boxes.FillBox(box_id="1", amount=3), by="a")
    world.settle()
    before = stored_place(world)
    for n in range(20):
        world.execute(boxes.LabelBox(box_id="1", account_id="a", owner="Z" * 1000), by=f"{n}")
    world.settle()

    assert world.consumer("boxes").position == world.log.head() > before + 10_000
    assert stored_place(world) == before
    world.close()


def stored_place(world: World) -> int:
    with world.views.read() as connection:
        found = checkpoints.load(connection, "boxes")
    assert found is not None
    return found.position


def test_a_log_that_was_restored_to_before_what_was_read_is_refused(tmp_path: Path) -> None:
    address, others = server().address("box_one"), server().address("box_two")
    world = World(tmp_path, SPECS, log=address)
    world.execute(boxes.FillBox(box_id="1", amount=3), by="a")
    world.settle()
    world.close()

    again = World(tmp_path, SPECS, log=others)
    again.settle()

    assert "log_went_back" in str(again.consumer("boxes").failure)
    again.close()


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[SandboxProcess]:
    """The payment sandbox."""
    running = start_sandbox(tmp_path / "bank", secret_key=SECRET_KEY, publishable_key="pk_test_x")
    yield running
    running.stop()


def called(world: World, account: str, service: str, method: str, **arguments: Any) -> Any:
    """A call, by an owner of the account or by staff."""
    key = uuid.uuid4().hex
    staff = account == "acct_staff"
    ctx = context(account, key=key, roles=(STAFF,)) if staff else context(account, key=key)
    return world.client.call(service, method, ctx, **arguments)


def test_a_number_is_bought_with_the_log_in_kurrentdb(tmp_path: Path, bank: SandboxProcess) -> None:
    """The product in one process, its own threads at work, woken by the bell of this log."""
    world = World(
        tmp_path / "data",
        all_specs(),
        log=server().address(),
        stripe_secret_key=SECRET_KEY,
        stripe_publishable_key="pk_test_x",
        stripe_api_base=bank.base_url,
    )
    world.assembly.start()
    called(world, "acct_staff", "inventory", "import_stock", csv=STOCK)
    buyer = {"name": "Buyer", "email": "b@example.com", "country": "AU"}
    mine = called(world, "acct_staff", "billing", "open_account", **buyer)["id"]
    called(world, mine, "billing", "add_payment_method", payment_method="pm_card_visa")
    until(lambda: offers(world, mine))

    items = [{"offer_id": offers(world, mine)[0]["offer_id"], "quantity": 2}]
    placed = called(world, mine, "orders", "place_order", items=items)["id"]
    until(lambda: "fulfilled" in statuses(world, mine))

    numbers = called(world, mine, "orders", "get_order", order_id=placed)["numbers"]
    world.assembly.stop()
    again = world.restart()
    again.settle()
    assert len(numbers) == 2
    assert "fulfilled" in statuses(again, mine)
    assert len(Book(tmp_path / "bank").charges()) == 1
    assert not (tmp_path / "data" / "log.db").exists()
    again.close()


def offers(world: World, account: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = called(
        world, account, "inventory", "search_available", country="US"
    )["data"]
    return found


def statuses(world: World, account: str) -> list[str]:
    """Of the account's orders; the one for its free number is among them."""
    return [o["status"] for o in called(world, account, "orders", "list_orders")["data"]]


def test_without_the_client_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith("shared.eventlog.kurrentdb")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kurrentdbclient", None)

    ended = pbxim(tmp_path, "kurrentdb://127.0.0.1:1?tls=false", "events", "tail")

    assert isinstance(ended.exception, Broken)
    assert "requirements-kurrentdb.txt" in ended.exception.detail

"""``make up`` as an operator uses it: every service a process, and what is said about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_buying import ended, order_of
from tests.support.product import ROOT, Product

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(240)]
SERVICES = ("inventory", "orders", "routing", "porting", "billing")
PROCESSES = {*SERVICES, *(f"{s}-runner" for s in SERVICES), "clock", "relay", "gateway", "payments"}
SERVERS = {"postgresql", "rabbitmq", "rabbitmq-names"}


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Product]:
    """The system with a process for everything, ended afterwards."""
    running = Product(tmp_path / "var", distributed=True, together=False).start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()
    running.forget()


def command(product: Product, *words: str) -> subprocess.CompletedProcess[str]:
    """``python -m deploy.up``, beside the one that runs."""
    told = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(product.data)}
    return subprocess.run(
        [sys.executable, "-m", "deploy.up", *words],
        cwd=ROOT,
        env=os.environ | told,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def status(product: Product) -> dict[str, Any]:
    """What ``make status`` says, for programs."""
    found: dict[str, Any] = json.loads(command(product, "status", "--json").stdout)
    return found


def test_from_its_start_to_its_end(whole: Product) -> None:
    # One test, because starting all of it takes longest.
    every_service_is_a_process_of_its_own_and_a_number_is_bought(whole)
    what_it_says_to_people_names_every_process_and_whether_it_is_ready(whole)
    a_second_one_in_the_same_folder_is_refused(whole)
    an_operator_looks_into_it_with_the_settings_that_it_wrote_down(whole)
    read_models_are_built_anew_under_the_runners(whole)
    it_ends_in_order_and_leaves_nothing_running(whole)


def every_service_is_a_process_of_its_own_and_a_number_is_bought(whole: Product) -> None:
    client = whole.open_account()
    order = client.post("/v1/orders?wait=20", order_of(client))
    assert ended(client, order.body["id"])["status"] == "fulfilled"

    found = status(whole)
    running = {name for name, words in found["processes"].items() if words.startswith("RUNNING")}
    assert running == PROCESSES | SERVERS
    assert found["processes"]["migrate"].startswith("EXITED")
    assert found["ready"]["ready"] is True
    assert found["ready"]["silent_runners"] == []


def what_it_says_to_people_names_every_process_and_whether_it_is_ready(whole: Product) -> None:
    lines = command(whole, "status").stdout.splitlines()

    assert {line.split()[0] for line in lines} == PROCESSES | SERVERS | {"migrate", "ready"}
    assert lines[-1].split() == ["ready", "yes"]


def a_second_one_in_the_same_folder_is_refused(whole: Product) -> None:
    again = command(whole, "up")

    assert again.returncode == 1
    assert "make status, make down" in again.stderr


def pbxim(product: Product, words: str) -> subprocess.CompletedProcess[str]:
    """``pbxim``, with the settings that ``make up`` wrote down."""
    program = Path(sys.executable).with_name("pbxim")
    return subprocess.run(
        ["bash", "-c", f"set -a; . '{product.data}/up/environment'; '{program}' {words}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def an_operator_looks_into_it_with_the_settings_that_it_wrote_down(whole: Product) -> None:
    looked = pbxim(whole, "projections status")

    named = {line.split()[0] for line in looked.stdout.splitlines()}
    assert named >= {"stock", "orders", "charges"}, looked
    for name in ("environment", "supervisord.conf", "servers.json"):
        assert (whole.data / "up" / name).stat().st_mode & 0o077 == 0


def read_models_are_built_anew_under_the_runners(whole: Product) -> None:
    built = pbxim(whole, "projections rebuild")

    assert built.returncode == 0, built.stderr
    assert {line.split(maxsplit=2)[2] for line in built.stdout.splitlines()} == {"is read now"}


def it_ends_in_order_and_leaves_nothing_running(whole: Product) -> None:
    pids = [
        int(words.split()[2].rstrip(","))
        for words in status(whole)["processes"].values()
        if words.startswith("RUNNING")
    ]

    ended_by_hand = command(whole, "down")

    assert ended_by_hand.returncode == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert "Traceback" not in whole.log()
    assert command(whole, "status").returncode == 1
    assert "make up" in command(whole, "status").stderr

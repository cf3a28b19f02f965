"""``python -m deploy.runner`` as it runs in production: one active, one standing by."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from deploy.ground import Ground, all_specs
from shared import config
from shared.clock import MachineClock
from shared.config import Settings
from shared.runtime import Progress
from tests.contract.payment_servers import wait_until
from tests.support.children import Output
from tests.support.postgres import server
from tests.support.rabbitmq import free_port
from tests.support.worlds import order
from tests.unit.inventory.stock_facts import STOCK

_END_THE_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunnerProcess:
    """One of the two."""

    process: subprocess.Popen[bytes]
    output: Output
    health: int

    def says(self, word: str) -> None:
        """Waits for a line of its log."""
        self.output.line_with(word.encode(), self.process)

    def ready(self) -> dict[str, Any]:
        """What it says of itself; nothing before it answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/readyz", timeout=5) as got:
                found: dict[str, Any] = json.load(got)
                return found
        except (urllib.error.URLError, ConnectionError):
            return {}

    def end(self, by: signal.Signals) -> int:
        """Ends it; its exit status."""
        self.process.send_signal(by)
        return self.process.wait(20)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The settings of an installation whose log and stores lie in PostgreSQL."""
    return {
        "PBXIM_MODE": "sandbox",
        "PBXIM_DATA": str(tmp_path / "data"),
        "PBXIM_LOG": server().address(server().log_database()),
        "PBXIM_DATABASE": server().address(server().store_database()),
        "PBXIM_STRIPE_SECRET_KEY": "sk_test_runner",
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """As a process reads them."""
    return config.load(environment)


@pytest.fixture
def ground(settings: Settings) -> Iterator[Ground]:
    """A process that only sends commands."""
    made = Ground(settings, all_specs(), MachineClock(), Progress())
    yield made
    made.close()


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., RunnerProcess]]:
    """Starts runners, and ends what is left of them."""
    started: list[RunnerProcess] = []

    def run(*services: str) -> RunnerProcess:
        output, health = Output(tmp_path / f"runner-{len(started)}.log"), free_port()
        more = {"PBXIM_HEALTH": f"127.0.0.1:{health}", "PBXIM_LOG_JSON": "1"}
        with output.opened() as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "deploy.runner", *services],
                cwd=ROOT,
                env=os.environ | environment | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        started.append(RunnerProcess(process, output, health))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def stock(ground: Ground, number: int) -> int:
    """A row of the stock file more; the position of its event."""
    command = replace(STOCK, block_id=f"+1301279{number:04}")
    return ground.application.execute(order(command)).position


def test_the_one_that_stands_by_goes_on_where_the_killed_one_was(
    ground: Ground, start: Callable[..., RunnerProcess]
) -> None:
    active = start("inventory")
    active.says("runner_active")
    second = start("inventory")
    second.says("runner_stands_by")
    before = stock(ground, 1)
    wait_until(lambda: at(active) >= before)
    assert second.ready()["active"] is False

    active.end(signal.SIGKILL)
    after = stock(ground, 2)

    second.says("runner_active")
    wait_until(lambda: at(second) >= after)
    assert second.end(signal.SIGTERM) == 0


def at(runner: RunnerProcess) -> int:
    """How far its view of the stock is."""
    return int(runner.ready().get("consumers", {}).get("stock", {}).get("position", 0))


def test_whose_database_was_away_looks_whether_the_log_is_still_the_one_it_knows(
    ground: Ground, settings: Settings, start: Callable[..., RunnerProcess]
) -> None:
    """A backup may have been put in its place meanwhile, under a process that lived on."""
    active = start("inventory")
    active.says("runner_active")
    before = stock(ground, 1)
    wait_until(lambda: at(active) >= before)

    with closing(psycopg2.connect(settings.database or "")) as other, other.cursor() as cursor:
        cursor.execute("UPDATE views_inventory.checkpoint SET event_id = %s", (b"another event",))
        other.commit()
        cursor.execute(_END_THE_OTHERS)

    active.says("runner_active")
    active.says("log_went_back")
    assert active.end(signal.SIGTERM) == 0


def test_runners_of_other_services_work_beside_each_other(
    start: Callable[..., RunnerProcess],
) -> None:
    one, other = start("inventory"), start("orders", "routing")

    one.says("runner_active")
    other.says("runner_active")
    assert (one.end(signal.SIGTERM), other.end(signal.SIGTERM)) == (0, 0)


def test_a_service_that_there_is_not_is_named_with_those_there_are(
    start: Callable[..., RunnerProcess],
) -> None:
    wrong = start("inventroy")

    assert wrong.process.wait(20) == 1
    assert "inventory, orders, routing, porting, billing" in wrong.output.text()

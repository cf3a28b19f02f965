"""The product with its log in PostgreSQL, and without any of it where nobody named it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deploy import cli
from shared.errors import Broken
from shared.eventlog.postgres import MIGRATION
from tests.support import boxes
from tests.support.postgres import OWNER, server
from tests.support.product import ROOT
from tests.support.worlds import World

SPECS = [boxes.box_service(projections=(boxes.projection(),))]


@pytest.fixture
def database() -> str:
    return server().log_database()


def pbxim(data: Path, log: str, *words: str) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(cli.app, words, env={"PBXIM_DATA": str(data), "PBXIM_LOG": log})


def test_an_installation_keeps_its_events_there_and_reads_them_again(
    tmp_path: Path, database: str
) -> None:
    address = server().address(database)
    world = World(tmp_path, SPECS, log=address)
    world.execute(boxes.FillBox(box_id="1", amount=3), by="a")
    world.settle()
    shown, head = boxes.shown(world.views), world.log.head()

    world.close()
    for path in tmp_path.glob("views.db*"):
        path.unlink()
    again = World(tmp_path, SPECS, log=address)
    again.settle()

    assert shown
    assert boxes.shown(again.views) == shown
    assert again.log.head() == head > 1
    assert not (tmp_path / "log.db").exists()
    again.close()
    assert "box-1" in pbxim(tmp_path, address, "events", "tail", "-n", "1").stdout


def test_a_database_is_prepared_on_the_command_line(tmp_path: Path) -> None:
    name = server().empty_database()
    owner, application = server().address(name, OWNER), server().address(name)

    too_early = pbxim(tmp_path, application, "events", "tail")
    done = [pbxim(tmp_path, owner, "migrate") for _ in range(2)]

    assert isinstance(too_early.exception, Broken)
    assert too_early.exception.code == "log_not_migrated"
    assert [(ended.exit_code, ended.stdout) for ended in done] == [(0, f"log {MIGRATION}\n")] * 2
    assert pbxim(tmp_path, application, "events", "tail").exit_code == 0


def test_a_log_in_a_file_needs_no_preparation(tmp_path: Path) -> None:
    ended = pbxim(tmp_path, "", "migrate")

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "nothing to do" in ended.stderr


def test_the_embedded_product_loads_neither_the_driver_nor_the_migrations(tmp_path: Path) -> None:
    program = f"""
import sys
import deploy.cli, deploy.embedded
from deploy.assembly import assemble
from shared.config import load
assemble(load({{"PBXIM_MODE": "sandbox", "PBXIM_DATA": {str(tmp_path)!r}}})).close()
sys.exit(", ".join({{"psycopg2", "alembic", "shared.eventlog.postgres"}} & set(sys.modules)) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "log.db").exists()

"""What the product refuses to start with, in words that say what to change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo import refuse_demo
from deploy.embedded import Embedded
from services import gateway
from services.gateway import keys
from services.gateway.app import create_app
from services.gateway.surroundings import STAFF_ACCOUNT
from shared import config
from shared.errors import Broken
from tests.support.product import ROOT, ApiClient
from tests.support.worlds import World


def start(data: Path, *program: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Starts the product as ``make run`` does, or another program of it; it is expected to end by
    itself."""
    ours = {"PBXIM_MODE": "sandbox", "PBXIM_HTTP": "127.0.0.1:0", "PBXIM_DATA": str(data)}
    return subprocess.run(
        [sys.executable, "-m", *(program or ("deploy.embedded",))],
        cwd=ROOT,
        env=os.environ | ours | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = start(tmp_path / "file" / "var")
    assert ended.returncode == 1
    assert "PBXIM_DATA" in ended.stderr
    assert "a folder that can be made and written" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_data_folder_is_made_for_nobody_else_to_read(tmp_path: Path) -> None:
    World(tmp_path / "var").close()
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


def test_a_name_that_is_no_setting_is_pointed_out_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = start(tmp_path / "file" / "var", PBXIM_PORT="80")
    assert "PBXIM_PORT is no setting" in ended.stderr
    assert "PBXIM_HTTP" in ended.stderr


def test_another_key_file_is_found_out_at_the_start(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.application.codec._keyring.make_key("acct_1")
    world.close()
    (tmp_path / "master.key").unlink()
    with pytest.raises(Broken, match="PBXIM_KEY_FILE is not the key file"):
        World(tmp_path)


def test_live_refuses_the_accounts_of_a_demo(tmp_path: Path) -> None:
    world = World(tmp_path, [gateway.spec()])
    create_app(world.runtime, world.client)
    refuse_demo(world.state)
    where = {"account_id": STAFF_ACCOUNT, "role": "staff", "name": "demo", "now": 0}
    keys.make(world.state, "key_demo_staff", **where)
    with pytest.raises(Broken, match="demo accounts"):
        refuse_demo(world.state)
    world.close()


@pytest.mark.parametrize(
    ("program", "missing"),
    [
        (("deploy.embedded",), "PBXIM_STRIPE_SECRET_KEY"),
        (("deploy.up", "up"), "PBXIM_STRIPE_SECRET_KEY"),
        (("deploy.gateway",), "PBXIM_STRIPE_PUBLISHABLE_KEY"),
    ],
)
def test_live_does_not_start_without_the_keys_it_pays_with(
    tmp_path: Path, program: tuple[str, ...], missing: str
) -> None:
    nowhere = {
        "PBXIM_DATABASE": "postgresql://pbxim@127.0.0.1:9/x",
        "PBXIM_AMQP": "amqp://127.0.0.1:9/",
    }
    ended = start(tmp_path / "var", *program, PBXIM_MODE="live", **nowhere)
    assert ended.returncode == 1
    assert f"{missing} is 'missing'; allowed is a live key in live mode." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(("trusted", "last"), [("", 429), ("127.0.0.1", 200)])
def test_visitors_behind_a_trusted_proxy_are_told_apart(
    tmp_path: Path, trusted: str, last: int
) -> None:
    """Limits count per address: else one visitor's wrong passwords would lock all others out."""
    environ = {"MODE": "sandbox", "HTTP": "127.0.0.1:0", "DATA": str(tmp_path / "var")}
    more = {"STRIPE_SECRET_KEY": "sk_test_1", "RATE_LIMIT": "2 per hour", "TRUSTED_PROXY": trusted}
    settings = config.load({f"PBXIM_{name}": found for name, found in (environ | more).items()})
    running = Embedded(settings, demo=False)
    running.start()
    visitor = ApiClient(running.settings.base_url, "")

    def look(address: str) -> int:
        return visitor.ask("GET", "/livez", headers={"X-Forwarded-For": address}).status

    found = [look(address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2")]
    running.stop()
    assert found == [200, 200, 429, last]

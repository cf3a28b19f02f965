"""``make up`` starts the servers that no setting names."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.up.plan import programs
from deploy.up.told import told
from shared import config

DATABASE, BROKER = "postgresql://pbxim@127.0.0.1/numbers", "amqp://u:p@127.0.0.1/"


@pytest.mark.parametrize("by_file", [False, True])
def test_servers_that_are_named_are_used_and_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_file: bool
) -> None:
    for name, address in (("PBXIM_DATABASE", DATABASE), ("PBXIM_AMQP", BROKER)):
        file = tmp_path / name
        file.write_text(address)
        monkeypatch.setenv(f"{name}_FILE" if by_file else name, str(file) if by_file else address)
    monkeypatch.setenv("PBXIM_MODE", "sandbox")
    monkeypatch.setenv("PBXIM_DATA", str(tmp_path))

    environment, started = told(config.load(), tmp_path)

    assert started == []
    read = config.load(environment)
    assert (read.database, read.log, read.amqp) == (DATABASE, DATABASE, BROKER)


def test_a_database_of_somebody_else_is_prepared_by_its_owner() -> None:
    mine = [one.name for one in programs(sandbox=True, together=True)]
    named = [one.name for one in programs(sandbox=True, together=True, own_database=False)]

    assert [name for name in mine if name not in named] == ["migrate"]


def test_with_keys_of_stripe_no_payment_sandbox_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PBXIM_MODE", "sandbox")
    monkeypatch.setenv("PBXIM_DATABASE", DATABASE)
    monkeypatch.setenv("PBXIM_AMQP", BROKER)
    monkeypatch.setenv("PBXIM_STRIPE_SECRET_KEY", "sk_test_ours")

    environment, _ = told(config.load(), tmp_path)
    ours = [one.name for one in programs(sandbox=True, together=True)]
    theirs = [one.name for one in programs(sandbox=True, together=True, own_payments=False)]

    assert "PBXIM_STRIPE_API_BASE" not in environment
    assert [name for name in ours if name not in theirs] == ["payments"]

"""Installations for the gateway's tests, and a payment provider beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.payment_sandbox.process import SandboxProcess, start_sandbox
from tests.integration.gateway.sites import Site, make_site


@pytest.fixture(scope="session")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """The payment sandbox."""
    folder = tmp_path_factory.mktemp("payments")
    running = start_sandbox(folder, secret_key="sk_test_gateway", publishable_key="pk_test_gateway")
    yield running
    running.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An installation that needs no payments."""
    made = make_site(tmp_path / "data")
    yield made
    made.world.close()


@pytest.fixture
def shop(tmp_path: Path, payments: SandboxProcess) -> Iterator[Site]:
    """An installation with stock and payments."""
    made = make_site(tmp_path / "data", payments).stocked()
    yield made
    made.stop()

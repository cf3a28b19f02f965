"""The bus: a private broker per worker, and small installations beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.payment_sandbox.process import SandboxProcess
from deploy.rpc_client import RpcClient
from tests.integration.bus.nameko_processes import Called, services, when_there
from tests.integration.gateway.conftest import payments
from tests.integration.gateway.sites import make_site
from tests.support.rabbitmq import Broker, free_port
from tests.support.worlds import context

__all__ = ["payments"]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """RabbitMQ, running. A test that kills it starts it again."""
    running = Broker(tmp_path_factory.mktemp("rabbitmq")).start()
    yield running
    running.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of one installation."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def called(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker, payments: SandboxProcess
) -> Iterator[Called]:
    site = make_site(tmp_path_factory.mktemp("called") / "data", payments).stocked()
    client = RpcClient(broker.uri, seconds=10)
    provider = {"PBXIM_STRIPE_SECRET_KEY": "sk_test_gateway"}
    provider["PBXIM_STRIPE_API_BASE"] = payments.base_url
    health = free_port()
    provider["PBXIM_HEALTH"] = f"127.0.0.1:{health}"
    process = services(site.world.folder, broker.uri, **provider).start()
    when_there(lambda: client.call("odd", "echo", context(), thing=0))
    yield Called(client, site, broker.uri, process, health)
    client.close()
    status = process.stop()
    site.stop()
    assert status == 0

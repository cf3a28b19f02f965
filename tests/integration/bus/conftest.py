"""The bus: a private broker per worker, and small installations beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rabbitmq import Broker


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

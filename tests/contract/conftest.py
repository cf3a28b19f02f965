"""Fixtures of the contract suites: the event log, once for every backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.eventlog import EventLog
from tests.contract.log_backends import BACKENDS, Backend
from tests.support.postgres import server


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.param
    return found


@pytest.fixture
def address(backend: Backend, tmp_path: Path) -> str:
    return backend.make(tmp_path)


@pytest.fixture
def log(backend: Backend, address: str) -> Iterator[EventLog]:
    opened = backend.open(address)
    yield opened
    opened.close()


@pytest.fixture
def database() -> str:
    """A database of the private PostgreSQL server, with an empty log."""
    return server().log_database()

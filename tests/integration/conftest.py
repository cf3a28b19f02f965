"""What the tests of several services share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.schemas import schemas_made_once


@pytest.fixture(scope="session", autouse=True)
def _schemas_made_once() -> Iterator[None]:
    with schemas_made_once():
        yield

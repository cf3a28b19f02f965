"""What the tests of several services share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.made_once import made_once


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    with made_once():
        yield

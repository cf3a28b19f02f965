"""The core logs what these tests provoke on purpose; their own report is enough."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = structlog.get_config()
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level, cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)

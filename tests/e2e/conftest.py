"""The running product, one for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product import Product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with its demo data, on a free port, ended afterwards."""
    folder: Path = tmp_path_factory.mktemp("product") / "var"
    running = Product(folder, {"PBXIM_STRIPE_TIMEOUT": "3"}).start()
    yield running
    running.stop()

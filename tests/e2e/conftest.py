"""The running product, one of each runtime for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.product import Product

RUNTIMES = ("embedded", "distributed")


def _run(folders: pytest.TempPathFactory, *, distributed: bool) -> Iterator[Product]:
    folder = folders.mktemp("product") / "var"
    made = Product(folder, {"PBXIM_STRIPE_TIMEOUT": "3"}, distributed=distributed)
    running = made.start()
    yield running
    running.stop()
    running.forget()


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Everything in one process, with its demo data, on a free port, ended afterwards."""
    yield from _run(tmp_path_factory, distributed=False)


@pytest.fixture(scope="session")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Services, runners, relay and gateway as processes, with servers of their own."""
    yield from _run(tmp_path_factory, distributed=True)


@pytest.fixture(params=RUNTIMES)
def product(request: pytest.FixtureRequest) -> Product:
    """The product, once in each runtime."""
    found: Product = request.getfixturevalue(request.param)
    return found

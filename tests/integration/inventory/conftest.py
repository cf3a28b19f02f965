"""A shop per test, on a copy of files that were made once."""

import shutil

import pytest

from tests.integration.inventory.shop import Shop, open_world


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory):
    """What an installation looks like after its first start."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    world = open_world(folder)
    world.settle()
    world.close()
    return folder


@pytest.fixture
def shop(tmp_path, empty_files):
    """Inventory on files of its own, stepped by hand."""
    shop = Shop(open_world(shutil.copytree(empty_files, tmp_path / "data")))
    shop.world.settle()
    yield shop
    shop.world.close()

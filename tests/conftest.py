"""What every test stands on: no settings from outside, no network in unit tests."""

import gc
import os
import shutil
import socket
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.chromium import chromium as find_chromium

UNIT_TESTS = Path(__file__).parent / "unit"
pytest_plugins = ["tests.support.limits", "tests.support.sharing"]

# The settings of the person who runs the tests must not decide them; PBXIM_TEST_* is for the tests.
for _name in [n for n in os.environ if n.startswith("PBXIM_") and not n.startswith("PBXIM_TEST_")]:
    del os.environ[_name]

# The product is started again and again: once compiled, it need not be compiled at every start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _put_files_into_memory(place: Path = Path("/dev/shm"), wanted: int = 4 << 30) -> None:
    # SQLite asks the disk for thousands of writes that a test throws away. Nothing here pulls the
    # plug, and what a process had written when it was killed is there on any file system.
    roomy = place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > wanted
    if roomy:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(place))


_put_files_into_memory()

# As in the product: thousands of tests and their modules are not looked through for garbage again.
gc.set_threshold(50_000, 20, 50)


def pytest_collection_finish():
    gc.freeze()


# A busy machine is no failure.
settings.register_profile("pbxim", deadline=None)
settings.load_profile("pbxim")


def _refuse(_socket, address):
    raise AssertionError(f"a unit test wanted to connect to {address!r}")


@pytest.fixture(autouse=True)
def _no_network_in_unit_tests(request):
    with pytest.MonkeyPatch.context() as patch:
        if UNIT_TESTS in request.path.parents:
            patch.setattr(socket.socket, "connect", _refuse)
            patch.setattr(socket.socket, "connect_ex", _refuse)
        yield


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser for tests marked `browser` (`make test` sees to it that it is there)."""
    return find_chromium()

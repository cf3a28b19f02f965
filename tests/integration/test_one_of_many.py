"""One runner, one relay is active: the lock that says which, in a database and in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.single import Lock, make_lock
from shared import config
from tests.support.postgres import server

Made = Callable[..., Lock]


@pytest.fixture(params=["files", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """Locks of processes of one installation, by their names."""
    told = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(tmp_path)}
    if request.param == "postgresql":
        told["PBXIM_DATABASE"] = server().address(server().store_database())
    return lambda *names: make_lock(config.load(told), *names)


def test_only_one_has_it_until_it_lets_go(make: Made) -> None:
    first, second = make("relay"), make("relay")

    assert first.acquire()
    assert first.acquire()  # Whoever has it may ask again.
    assert not second.acquire()
    assert (first.held(), second.held()) == (True, False)
    first.release()
    assert second.acquire()
    assert (first.held(), second.held()) == (False, True)
    second.release()


def test_other_names_are_other_locks(make: Made) -> None:
    one, other = make("runner:orders"), make("runner:billing")

    assert one.acquire()
    assert other.acquire()
    one.release()
    other.release()


def test_of_several_names_all_or_none_are_taken(tmp_path: Path) -> None:
    address = server().address(server().store_database())
    told = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(tmp_path), "PBXIM_DATABASE": address}
    settings = config.load(told)
    billing, both = make_lock(settings, "billing"), make_lock(settings, "orders", "billing")
    orders = make_lock(settings, "orders")

    assert billing.acquire()
    assert not both.acquire()
    assert orders.acquire()  # It had not been kept.
    orders.release()
    billing.release()
    assert both.acquire()
    assert not orders.acquire()
    both.release()


def test_a_session_that_the_server_ended_has_lost_it(tmp_path: Path) -> None:
    name = server().store_database()
    address = server().address(name)
    told = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(tmp_path), "PBXIM_DATABASE": address}
    first, second = (make_lock(config.load(told), "relay") for _ in range(2))
    assert first.acquire()
    server().say(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    assert not first.held()
    assert second.acquire()
    assert not first.acquire()
    second.release()
    assert first.acquire()
    first.release()

"""A runner says how far its read models are; gateway and services hear it, from PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from deploy.progress import CHANNEL, AnnouncingProgress, HeardProgress
from shared.clock import BusinessClock, MachineClock
from shared.eventlog.postgres_pool import connect
from tests.contract.payment_servers import wait_until
from tests.support.postgres import server

SECONDS = 10.0


@pytest.fixture
def address() -> str:
    """A database in which two processes meet."""
    return server().address(server().store_database())


@pytest.fixture
def clock() -> BusinessClock:
    """That of the process that hears."""
    return BusinessClock(MachineClock())


@pytest.fixture
def heard(address: str, clock: BusinessClock) -> Iterator[HeardProgress]:
    """What a gateway hears."""
    progress = HeardProgress()
    progress.listen(address, clock)
    yield progress
    progress.close()


@pytest.fixture
def said(address: str) -> Iterator[AnnouncingProgress]:
    """What a runner of two services says."""
    progress = AnnouncingProgress(address, "orders,billing")
    progress.start()
    yield progress
    progress.close()


def test_whoever_waits_for_a_view_of_another_process_is_woken(
    said: AnnouncingProgress, heard: HeardProgress
) -> None:
    said.report({"orders": 5, "numbers": 3})

    assert heard.wait_for(["orders", "numbers"], 3, SECONDS)
    assert not heard.wait_for(["orders", "numbers"], 4, 0.05)
    said.report({"numbers": 9})
    assert heard.wait_for(["orders", "numbers"], 5, SECONDS)


def test_whoever_waits_for_a_stream_looks_again_when_it_was_shown(
    said: AnnouncingProgress, heard: HeardProgress
) -> None:
    shown = threading.Event()
    wait_until(lambda: not heard.silent(["orders"]))
    looks = []

    def holds() -> bool:
        looks.append(1)
        return shown.is_set()

    waiting = threading.Thread(target=heard.wait_on, args=("order-7", holds, SECONDS), daemon=True)
    waiting.start()
    wait_until(lambda: bool(looks))
    shown.set()
    said.report({"orders": 6}, ["order-7"])
    waiting.join(SECONDS)

    assert not waiting.is_alive()
    assert len(looks) == 2


def test_whoever_waits_for_a_stream_looks_for_the_first_time_when_its_runner_has_spoken(
    said: AnnouncingProgress, heard: HeardProgress
) -> None:
    wait_until(lambda: not heard.silent(["orders"]))
    shown, looks, answers = threading.Event(), list[bool](), list[bool]()

    def holds() -> bool:
        looks.append(shown.is_set())
        return looks[-1]

    waiting = threading.Thread(
        target=lambda: answers.append(heard.wait_on("order-7", holds, SECONDS)), daemon=True
    )
    waiting.start()
    wait_until(lambda: "order-7" in heard._watched)
    shown.set()
    said.report({"orders": 6}, ["order-7"])
    waiting.join(SECONDS)

    assert (looks, answers) == ([True], [True])


def test_words_that_show_nothing_to_who_waits_are_rare_where_many_events_come(
    said: AnnouncingProgress, heard: HeardProgress
) -> None:
    said.many_events = lambda: True
    wait_until(lambda: not heard.silent(["orders"]))
    said.report({"orders": 1})
    assert heard.wait_for(["orders"], 1, SECONDS)
    began = time.monotonic()

    said.report({"orders": 2})
    assert heard.wait_for(["orders"], 2, SECONDS)

    assert time.monotonic() - began > 0.05


def test_a_word_that_is_lost_costs_whoever_waits_a_second(heard: HeardProgress) -> None:
    looks: list[float] = []

    def holds() -> bool:
        looks.append(time.monotonic())
        return len(looks) == 2

    began = time.monotonic()
    assert heard.wait_on("order-7", holds, SECONDS)

    assert 0.9 < looks[0] - began < 1.9
    assert not heard.wait_on("order-8", lambda: False, 0.05)


def test_many_streams_at_once_wake_everybody(
    said: AnnouncingProgress, heard: HeardProgress
) -> None:
    wait_until(lambda: not heard.silent(["orders"]))
    looks = []

    def holds() -> bool:
        looks.append(1)
        return len(looks) > 1

    arguments = ("order-zzz", holds, SECONDS)
    waiting = threading.Thread(target=heard.wait_on, args=arguments, daemon=True)
    waiting.start()
    wait_until(lambda: bool(looks))
    said.report({"orders": 7}, [f"order-{n}" for n in range(500)])
    waiting.join(SECONDS)

    assert not waiting.is_alive()


def test_the_business_clock_and_what_stands_still_are_told(
    said: AnnouncingProgress, heard: HeardProgress, clock: BusinessClock
) -> None:
    said.offset = lambda: timedelta(days=3)
    said.failures = lambda: {"numbers": "KeyError: 'city'"}
    said.report({"numbers": 4})

    wait_until(lambda: clock.offset == timedelta(days=3))
    assert heard.failures() == {"numbers": "KeyError: 'city'"}
    said.failures = dict
    said.report({"numbers": 5})
    wait_until(lambda: not heard.failures())


def test_a_runner_is_heard_without_news_and_missed_when_it_was_never_heard(
    said: AnnouncingProgress, heard: HeardProgress
) -> None:
    assert said.positions() == {}
    wait_until(lambda: heard.silent(["orders", "billing", "inventory"]) == ["inventory"])


def test_a_word_of_a_newer_version_that_cannot_be_read_harms_nobody(
    said: AnnouncingProgress, heard: HeardProgress, address: str
) -> None:
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, '{"positions": "everything"}'))
    said.report({"orders": 8})

    assert heard.wait_for(["orders"], 8, SECONDS)


def test_speaking_and_hearing_go_on_when_the_server_cut_them_off(
    said: AnnouncingProgress, heard: HeardProgress, address: str
) -> None:
    said.report({"orders": 1})
    assert heard.wait_for(["orders"], 1, SECONDS)
    name = address.split("@/")[1].partition("?")[0]
    server().say(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    said.report({"orders": 2})

    assert heard.wait_for(["orders"], 2, SECONDS)


@pytest.fixture
def alone(address: str) -> Iterator[AnnouncingProgress]:
    """What a runner of one service says."""
    progress = AnnouncingProgress(address, "routing")
    progress.start()
    yield progress
    progress.close()


def test_a_runner_of_one_service_is_heard_by_those_who_follow_it(
    alone: AnnouncingProgress, said: AnnouncingProgress, heard: HeardProgress
) -> None:
    alone.report({"routes": 4})
    said.report({"orders": 9})
    assert heard.wait_for(["orders"], 9, SECONDS)
    assert heard.position(["routes"]) == 0, "nobody here wants to know"

    heard.follow("routing")
    assert heard.wait_for(["routes"], 4, SECONDS)


def test_a_gateway_hears_the_services_it_was_told_of(
    alone: AnnouncingProgress, address: str, clock: BusinessClock
) -> None:
    progress = HeardProgress()
    progress.listen(address, clock, ["orders", "routing"])
    alone.report({"routes": 4})

    assert progress.wait_for(["routes"], 4, SECONDS)
    progress.close()

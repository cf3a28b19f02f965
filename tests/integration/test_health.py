"""The server beside the work: lives, is ready, counts."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter

from deploy import health
from deploy.health import Health, start_health
from shared import config
from shared.errors import Broken
from shared.refusals import refusal
from tests.support.asking import asked, fetch
from tests.support.rabbitmq import free_port

ROOT = Path(__file__).parents[2]
READY = {
    "ready": True,
    "mode": "sandbox",
    "head": 12,
    "consumers": {
        "numbers": {"position": 12, "lag": 0, "failure": None},
        "policy:orders": {"position": 9, "lag": 3, "failure": "KeyError"},
    },
}
Start = Callable[..., Health]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server with a state, and ends it."""
    made: list[Health] = []

    def one(status: Any = READY, address: str = "127.0.0.1:0", collect: Any = None) -> Health:
        settings = config.load({"PBXIM_MODE": "sandbox", "PBXIM_HEALTH": address})
        asked = status if callable(status) else lambda: status
        made.append(start_health(settings, asked, collect, "runner:orders"))
        return made[-1]

    yield one
    for each in made:
        each.close()


def test_a_process_that_is_ready_says_so_with_its_mode_and_consumers(start: Start) -> None:
    status, found = asked(start().port, "/readyz")

    assert status == 200
    assert (found["status"], found["mode"]) == ("ready", "sandbox")
    assert found["process"] == "runner:orders"
    assert found["consumers"]["policy:orders"]["lag"] == 3


def test_a_process_that_is_not_ready_answers_503_and_says_what_is_wrong(start: Start) -> None:
    status, found = asked(start({"ready": False, "broker": "gone"}).port, "/readyz")

    assert status == 503
    assert (found["status"], found["broker"], found["mode"]) == ("not_ready", "gone", "sandbox")


def test_a_state_that_cannot_be_had_is_not_ready_and_the_server_goes_on(start: Start) -> None:
    def away() -> dict[str, Any]:
        raise refusal("service_unavailable", "PostgreSQL does not answer.")

    port = start(away).port
    status, found = asked(port, "/readyz")

    assert status == 503
    assert (found["failure"], found["detail"]) == (
        "service_unavailable",
        "PostgreSQL does not answer.",
    )
    assert "pbxim_ready 0.0" in fetch(port, "/metrics")[1]


def test_an_unforeseen_error_is_named_by_its_kind_alone(start: Start) -> None:
    def broken() -> dict[str, Any]:
        raise ValueError("postgresql://me:hush@db")

    status, text = fetch(start(broken).port, "/readyz")

    assert status == 503
    assert json.loads(text)["failure"] == "ValueError"
    assert "hush" not in text


def test_a_process_without_a_loop_always_lives(start: Start) -> None:
    assert asked(start({"ready": False}).port, "/livez") == (
        200,
        {"status": "ok", "process": "runner:orders"},
    )


def test_a_loop_that_has_stopped_turning_is_stuck_and_comes_back_with_a_beat(
    start: Start,
) -> None:
    running = start()
    running.beat()
    assert asked(running.port, "/livez")[0] == 200

    assert running._beaten is not None
    running._beaten -= health._STUCK_SECONDS + 1
    status, found = asked(running.port, "/livez")
    running.beat()

    assert (status, found["status"]) == (503, "stuck")
    assert found["silent_seconds"] > health._STUCK_SECONDS
    assert asked(running.port, "/livez")[0] == 200


def test_the_metrics_tell_of_consumers_and_of_what_the_process_counts(start: Start) -> None:
    counted = Counter("pbxim_things", "Things.", ["kind"], registry=None)
    counted.labels("odd").inc(3)

    lines = fetch(start(collect=counted.collect).port, "/metrics")[1].splitlines()

    assert 'pbxim_consumer_lag{consumer="policy:orders"} 3.0' in lines
    assert 'pbxim_consumer_failed{consumer="policy:orders"} 1.0' in lines
    assert 'pbxim_consumer_position{consumer="numbers"} 12.0' in lines
    assert "pbxim_log_head 12.0" in lines
    assert 'pbxim_things_total{kind="odd"} 3.0' in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_a_collector_that_fails_does_not_take_the_other_metrics_away(start: Start) -> None:
    def broken() -> list[Any]:
        raise OSError

    status, text = fetch(start(collect=broken).port, "/metrics")

    assert status == 200
    assert "pbxim_log_head 12.0" in text


def test_another_path_is_not_found(start: Start) -> None:
    assert asked(start().port, "/")[0] == 404
    assert asked(start().port, "/readyz?verbose")[0] == 200


def test_without_the_setting_nothing_listens(start: Start) -> None:
    silent = start(address="")
    silent.beat()

    assert silent.port == 0


def test_an_address_that_is_taken_is_named(start: Start) -> None:
    taken = start().port

    with pytest.raises(Broken, match=f"PBXIM_HEALTH: 127.0.0.1:{taken} cannot be used"):
        start(address=f"127.0.0.1:{taken}")


def test_a_closed_server_answers_no_more(start: Start) -> None:
    running = start()
    port = running.port
    running.close()

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_links_that_say_nothing_do_not_keep_others_out_for_ever(start: Start) -> None:
    port = start().port
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(7)]

    assert asked(port, "/livez")[0] == 200
    for link in silent:
        link.close()


PATCHED = """
import eventlet
eventlet.monkey_patch()
import sys, urllib.request
from deploy.health import start_health
from shared import config

port = int(sys.argv[1])
settings = config.load({"PBXIM_MODE": "sandbox", "PBXIM_HEALTH": f"127.0.0.1:{port}"})
health = start_health(settings, lambda: {"ready": True}, None, "nameko")
turned = []
eventlet.spawn_after(0, turned.append, 1)
with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
    print(answer.status, len(turned), answer.read().decode())
health.close()
"""


def test_it_answers_as_a_green_thread_in_a_patched_process() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PATCHED, str(free_port())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "\n200 1 {" in done.stdout, done.stdout + done.stderr

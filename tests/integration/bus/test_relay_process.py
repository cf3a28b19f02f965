"""The relay as a process: killed at each of its fail-points, stopped, doubled, ended."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import failpoints
from tests.integration.bus.listening import Listener, RelayProcess, Writer, several
from tests.support.children import frozen
from tests.support.rabbitmq import Broker, free_port

pytestmark = pytest.mark.broker
# In this order: read, published and not confirmed, confirmed and not written down, written down.
PLACES = ("relay.publishing", "relay.published", "relay.confirmed", "relay.moved")
Start = Callable[..., RelayProcess]


@pytest.fixture
def start(data: Path, broker: Broker) -> Iterator[Start]:
    """Starts relays, and ends them all afterwards."""
    made: list[RelayProcess] = []

    def one(uri: str = broker.uri, failpoint: str = "") -> RelayProcess:
        made.append(RelayProcess(data, uri, failpoint).start())
        return made[-1]

    yield one
    for process in made:
        process.close()


def test_a_relay_killed_anywhere_loses_nothing_and_repeats_under_the_same_id(
    data: Path, broker: Broker, start: Start
) -> None:
    listener = Listener(broker.uri)
    writer = Writer(data)
    ends = []
    for n in range(len(PLACES)):
        writer.write(10)
        ends.append(start(failpoint=f"kill:{n + 1}").ended())
    writer.write(10)
    last = start()

    heard = listener.heard(50)
    last.process.send_signal(signal.SIGTERM)

    stored = {f"evt_{e.event_id.hex()}": e.position for e in writer.log.read_all(0, 100)}
    again = {one.position for one in heard if one.message_id in several(heard)}
    writer.log.close()
    assert ends == [-signal.SIGKILL] * len(PLACES), "a fail-point was not reached"
    assert {one.message_id: one.position for one in heard} == stored
    # Two deaths before the checkpoint: what was under way then, and nothing of the fourth.
    assert again == set(range(1, 31))
    assert last.said("relay_stopped")["position"] == 50
    assert last.ended() == 0


def test_the_places_are_reached_in_the_order_of_a_batch(
    data: Path, broker: Broker, start: Start, tmp_path: Path
) -> None:
    listener = Listener(broker.uri)
    writer = Writer(data)
    writer.write(1)
    file = tmp_path / "places"
    relay = start(failpoint=f"record:{file}")
    relay.said("relay_active")
    listener.heard(1)
    relay.process.send_signal(signal.SIGTERM)

    assert relay.ended() == 0
    writer.log.close()
    assert [line.split()[1] for line in file.read_text().splitlines()] == list(PLACES)
    assert failpoints._kill_at == 0


def test_a_stopped_relay_does_no_harm_and_its_stand_by_takes_over_when_it_dies(
    data: Path, broker: Broker, start: Start
) -> None:
    listener = Listener(broker.uri)
    writer = Writer(data)
    active = start()
    active.said("relay_active")
    stand_by = start()
    stand_by.said("relay_started")

    with frozen(active.process.pid):
        writer.write(300)
    before = listener.heard(300)
    active.process.kill()
    stand_by.said("relay_active")
    writer.write(300)
    # The one that was killed may not have come to write down its last batch: it comes again.
    new = set(range(301, 601))
    after = listener.until(lambda found: new <= {one.position for one in found})
    stand_by.process.send_signal(signal.SIGTERM)

    assert stand_by.ended() == 0
    writer.log.close()
    assert {one.position for one in before} == set(range(1, 301))
    assert {one.position for one in after} - set(range(1, 301)) == new


def test_a_relay_waits_for_its_broker_with_a_message(start: Start) -> None:
    relay = start(uri=f"amqp://guest:hush@127.0.0.1:{free_port()}//")

    told = relay.said("relay_waits")
    relay.process.send_signal(signal.SIGTERM)

    assert "refused" in told["reason"]
    assert "hush" not in str(told)
    assert relay.ended() == 0


def test_a_relay_without_the_setting_says_which_one(start: Start) -> None:
    relay = start(uri="")

    assert relay.ended() == 1
    assert "PBXIM_AMQP is missing" in relay.output.text()

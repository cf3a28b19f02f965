"""The relay in this process, on a real broker: what it publishes, and what may go wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.ground import all_specs
from deploy.publisher import Publisher
from deploy.relay import Relay
from shared.consumers import parking
from shared.errors import Broken, Unavailable
from shared.stores import SqliteStore, Store
from tests.integration.bus.listening import Listener, Writer, several
from tests.support.rabbitmq import Broker, free_port

pytestmark = pytest.mark.broker


@dataclass
class Bus:
    """A log, the broker, and relays between them."""

    data: Path
    uri: str
    writer: Writer
    state: Store

    def relay(self, batch: int = 500) -> tuple[Relay, Publisher]:
        """One more relay on the same files."""
        publisher = Publisher(self.uri, confirm_seconds=5)
        return Relay(self.writer.log, self.state, publisher, batch), publisher

    def publish(self) -> int:
        """What a relay does until nothing is left; its position."""
        relay, publisher = self.relay()
        while relay.step():
            pass
        publisher.close()
        return relay.position

    def parked(self) -> list[tuple[int, str]]:
        with self.state.read() as connection:
            return [(row["position"], row["status"]) for row in parking.listed(connection)]


@pytest.fixture
def bus(data: Path, broker: Broker) -> Iterator[Bus]:
    all_specs()
    state = SqliteStore(data / "state.db", durable=True)
    made = Bus(data, broker.uri, Writer(data), state)
    yield made
    made.writer.log.close()
    state.close()


def test_an_event_arrives_in_its_public_form(bus: Bus) -> None:
    listener = Listener(bus.uri, key="OrderPaid")
    (position,) = bus.writer.write(1)

    bus.publish()

    (message,) = listener.heard(1)
    (stored,) = bus.writer.log.read_all(0, 10)
    assert message.message_id == f"evt_{stored.event_id.hex()}"
    assert message.properties["delivery_mode"] == 2
    assert message.headers == {
        "position": position,
        "stream": stored.stream,
        "stream_version": 1,
        "version": 1,
        "correlation_id": "req_1",
        "causation_id": "evt_cause",
        "traceparent": "00-1-2-01",
        "nameko.correlation_id": "req_1",
        "nameko.traceparent": "00-1-2-01",
    }
    assert message.body == {
        "id": message.message_id,
        "type": "OrderPaid",
        "version": 1,
        "position": position,
        "occurred_at": "2026-01-31T12:00:00Z",
        "account_id": "acct_1",
        "subjects": [],
        "data": {
            "order_id": "ord_1",
            "account_id": "acct_1",
            "hold_id": "qt_1",
            "charge_id": None,
            "amount": {"micros": 1_260_000, "currency": "USD"},
        },
    }


def test_events_come_in_the_order_of_the_log_and_only_once(bus: Bus) -> None:
    listener = Listener(bus.uri)
    written = bus.writer.write(1200)

    assert bus.publish() == 1200
    assert bus.publish() == 1200  # Another relay, later: there is nothing to do.

    assert [one.position for one in listener.rest()] == written


def test_without_a_broker_nothing_moves_and_nothing_is_lost(bus: Bus) -> None:
    listener = Listener(bus.uri)
    bus.writer.write(3)
    dead = Publisher(f"amqp://127.0.0.1:{free_port()}//")

    with pytest.raises(Unavailable) as refused:
        Relay(bus.writer.log, bus.state, dead).step()

    assert refused.value.code == "service_unavailable"
    assert bus.publish() == 3
    assert [one.position for one in listener.rest()] == [1, 2, 3]


def test_two_relays_at_once_publish_everything_and_repeat_under_the_same_id(bus: Bus) -> None:
    listener = Listener(bus.uri)
    bus.writer.write(400)
    made = [bus.relay(batch=10) for _ in range(2)]

    def drain(relay: Relay) -> None:
        while relay.step():
            pass

    threads = [threading.Thread(target=drain, args=(relay,)) for relay, _ in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    for _, publisher in made:
        publisher.close()
    assert [relay.position for relay, _ in made] == [400, 400]
    assert {m.message_id: m.position for m in listener.rest()} == {
        f"evt_{e.event_id.hex()}": e.position for e in bus.writer.log.read_all(0, 500)
    }


def test_a_relay_that_was_away_goes_on_where_the_other_one_is(bus: Bus) -> None:
    listener = Listener(bus.uri)
    bus.writer.write(30)
    away, first = bus.relay(batch=10)
    other, second = bus.relay(batch=10)
    assert away.step()  # It has published the first ten, and is stopped for a while.

    while other.step():
        pass
    assert away.step()  # It repeats the second ten, and is told.
    told = away.position
    while away.step():
        pass

    first.close()
    second.close()
    heard = listener.rest()
    again = {m.position for m in heard if m.message_id in several(heard)}
    assert told == 0
    assert away.position == 30
    assert again == set(range(11, 21))


def test_poison_is_put_aside_with_its_stream_and_all_others_go_on(bus: Bus) -> None:
    listener = Listener(bus.uri)
    bus.writer.write(1)
    (poison,) = bus.writer.write(1, payload=b'{"order_id": 7', stream="order-bad")
    (behind,) = bus.writer.write(1, stream="order-bad", version=1)
    bus.writer.write(1)

    assert bus.publish() == 4

    assert [one.position for one in listener.rest()] == [1, 4]
    assert bus.parked() == [(poison, "retrying"), (behind, "waiting")]


def test_what_waited_behind_poison_follows_when_the_poison_is_dropped(bus: Bus) -> None:
    listener = Listener(bus.uri)
    (poison,) = bus.writer.write(1, payload=b"[]", stream="order-bad")
    (behind,) = bus.writer.write(1, stream="order-bad", version=1)
    bus.publish()

    with bus.state.write() as connection:
        parking.handled(connection, "relay", poison)
    bus.publish()

    assert [one.position for one in listener.rest()] == [behind]
    assert bus.parked() == []


def test_an_event_of_a_newer_version_is_left_to_a_newer_relay(bus: Bus) -> None:
    listener = Listener(bus.uri)
    bus.writer.write(1)
    bus.publish()
    bus.writer.write(1, schema=2)

    with pytest.raises(Broken) as refused:
        bus.publish()

    assert refused.value.code == "code_older_than_log"
    assert [one.position for one in listener.rest()] == [1]


def test_a_checkpoint_of_another_log_is_refused(bus: Bus, tmp_path: Path) -> None:
    bus.writer.write(2)
    bus.publish()
    restored = Writer(tmp_path)

    with pytest.raises(Broken) as refused:
        Relay(restored.log, bus.state, Publisher(bus.uri)).step()

    restored.log.close()
    assert refused.value.code == "log_went_back"

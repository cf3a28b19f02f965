"""The documented example: a nameko service that knows nothing of us hears of every purchase."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.exceptions import NotFound
from kombu import Connection

from deploy.payment_sandbox.process import SandboxProcess
from deploy.publisher import Publisher
from deploy.relay import Relay
from tests.integration.bus.listening import ROOT, Listener
from tests.integration.bus.nameko_processes import NamekoProcess
from tests.integration.gateway.sites import Site, make_site
from tests.support.children import Output
from tests.support.rabbitmq import Broker

pytestmark = pytest.mark.broker
QUEUE = "evt-orders-NumberPurchased--greeting.greet"


@pytest.fixture
def greeting(broker: Broker, tmp_path: Path) -> Iterator[NamekoProcess]:
    """The example, started in its own folder with nothing but the broker's address."""
    process = NamekoProcess(
        ["run", "--broker", broker.uri, "listen_to_purchases"],
        Output(tmp_path / "greeting.log"),
        folder=ROOT / "examples",
    ).start()
    try:
        _wait_for(broker, QUEUE)
        yield process
    finally:
        process.kill()


def _wait_for(broker: Broker, queue: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            with Connection(broker.uri) as connection:
                connection.channel().queue_declare(queue, passive=True)
                return
        except NotFound:
            assert time.monotonic() < end, "the example does not listen"
            time.sleep(0.05)  # A process of its own says nothing else.


def test_a_service_that_knows_nothing_of_us_hears_of_every_number_bought(
    greeting: NamekoProcess, broker: Broker, payments: SandboxProcess, tmp_path: Path
) -> None:
    shop: Site = make_site(tmp_path / "data", payments).stocked()
    everything = [Listener(broker.uri, f"{s}.events") for s in ("inventory", "orders", "billing")]
    buyer = shop.customer("pm_card_visa")
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 3}]
    order = buyer.post("/v1/orders", {"items": items})
    shop.settle()
    publisher = Publisher(broker.uri)
    relay = Relay(shop.world.log, shop.world.state, publisher)
    while relay.step():
        pass
    publisher.close()

    bought = buyer.get(f"/v1/orders/{order.json['id']}").json
    mine = {n["number"] for n in bought["numbers"]}
    # One more is the account's free number.
    greeted = [json.loads(line) for line in greeting.lines_with(b'"hello"', 4)]
    heard = [one for listener in everything for one in listener.rest()]
    stored = shop.world.log.read_all(0, 10_000)
    purchased = [e for e in stored if e.type == "NumberPurchased"]
    shop.stop()

    assert bought["status"] == "fulfilled"
    assert len(mine) == 3
    assert mine < {line["hello"] for line in greeted}
    assert [line["id"] for line in greeted] == [f"evt_{e.event_id.hex()}" for e in purchased]
    assert [line["position"] for line in greeted] == [e.position for e in purchased]
    assert {m.headers["correlation_id"] for m in heard if order.json["id"] in str(m.body)} == {
        m.headers["nameko.correlation_id"] for m in heard if order.json["id"] in str(m.body)
    }
    names = b"Company "  # The account's name is personal: it leaves the house sealed.
    opened = [m for m in heard if m.body["type"] == "AccountOpened"]
    assert len(opened) == 1
    assert not [m for m in heard if names in json.dumps(m.body).encode()]

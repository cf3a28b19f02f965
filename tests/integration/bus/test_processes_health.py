"""What relay and nameko processes say of themselves, with a broker and without."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.payment_sandbox.process import SandboxProcess
from deploy.rpc_client import RpcClient
from shared.errors import NotFound
from tests.integration.bus.listening import Listener, RelayProcess, Writer
from tests.integration.bus.nameko_processes import NamekoProcess, services, when_there
from tests.integration.gateway.sites import Site, make_site
from tests.support.asking import asked, sample, until
from tests.support.collector import Collector
from tests.support.rabbitmq import Broker, free_port
from tests.support.worlds import context

pytestmark = pytest.mark.broker
ABOVE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def relay_with_health(data: Path, uri: str, port: int) -> RelayProcess:
    relay = RelayProcess(data, uri)
    relay.more = {"PBXIM_HEALTH": f"127.0.0.1:{port}"}
    return relay.start()


def test_a_relay_says_how_far_it_is_and_its_stand_by_is_ready_too(
    data: Path, broker: Broker
) -> None:
    listener, writer = Listener(broker.uri), Writer(data)
    ports = free_port(), free_port()
    active = relay_with_health(data, broker.uri, ports[0])
    active.said("relay_active")
    stand_by = relay_with_health(data, broker.uri, ports[1])
    stand_by.said("relay_started")
    assert sample(ports[0], "pbxim_log_head") == 0
    writer.write(30)
    listener.heard(30)

    until(lambda: sample(ports[0], "pbxim_relay_position"), lambda found: found == 30)
    status, ready = asked(ports[0], "/readyz")
    beside, other = asked(ports[1], "/readyz")
    counted = {
        name: sample(ports[0], name)
        for name in (
            "pbxim_relay_lag",
            "pbxim_relay_active",
            'pbxim_consumer_lag{consumer="relay"}',
            'pbxim_events_total{type="OrderPaid"}',
        )
    }
    lives = asked(ports[0], "/livez")
    for relay in (active, stand_by):
        relay.process.send_signal(signal.SIGTERM)
        assert relay.ended() == 0
        relay.close()
    writer.log.close()

    assert (status, ready["active"], ready["broker"], ready["mode"]) == (200, True, "ok", "sandbox")
    assert ready["consumers"]["relay"] == {"position": 30, "lag": 0, "failure": None}
    assert (beside, other["active"]) == (200, False)
    assert other["consumers"]["relay"]["position"] == 30
    assert list(counted.values()) == [0, 1, 0, 30]
    assert lives == (200, {"status": "ok", "process": "relay"})


def test_a_relay_without_its_broker_is_not_ready_and_lives(data: Path) -> None:
    port = free_port()
    relay = relay_with_health(data, f"amqp://guest:hush@127.0.0.1:{free_port()}//", port)
    relay.said("relay_waits")

    status, ready = asked(port, "/readyz")
    lives = asked(port, "/livez")[0]
    waits = sample(port, "pbxim_relay_waits_for_broker")
    relay.process.send_signal(signal.SIGTERM)

    assert relay.ended() == 0
    relay.close()
    assert (status, ready["status"], ready["broker"]) == (503, "not_ready", "away")
    assert (lives, waits) == (200, 1)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """One that may be killed."""
    broker = Broker(tmp_path / "rabbitmq").start()
    yield broker
    broker.stop()


@pytest.fixture
def site(tmp_path: Path, payments: SandboxProcess) -> Iterator[Site]:
    site = make_site(tmp_path / "data", payments)
    yield site
    site.stop()


@pytest.fixture
def nameko(
    site: Site, own_broker: Broker, payments: SandboxProcess, collector: Collector
) -> Iterator[tuple[NamekoProcess, int]]:
    """All services in one process, and where its health answers."""
    port = free_port()
    more = {
        "PBXIM_STRIPE_SECRET_KEY": "sk_test_gateway",
        "PBXIM_STRIPE_API_BASE": payments.base_url,
        "PBXIM_HEALTH": f"127.0.0.1:{port}",
        "PBXIM_OTLP": collector.address,
    }
    process = services(site.world.folder, own_broker.uri, **more).start()
    yield process, port
    process.kill()


def test_a_nameko_process_is_ready_while_it_has_its_broker_and_measures_its_calls(
    own_broker: Broker, nameko: tuple[NamekoProcess, int], collector: Collector
) -> None:
    process, port = nameko
    client = RpcClient(own_broker.uri, seconds=10)
    process.says("health_listening")
    when_there(lambda: client.call("odd", "echo", context(), thing=0))

    status, ready = asked(port, "/readyz")
    with pytest.raises(NotFound):
        client.call("orders", "get_order", context(traceparent=ABOVE), order_id="ord_none")
    refused = 'method="get_order",outcome="refused",service="orders"'
    measured = sample(port, f"pbxim_rpc_server_seconds_count{{{refused}}}")
    client.close()
    own_broker.kill()
    away = until(lambda: asked(port, "/readyz"), lambda found: found[0] == 503)[1]
    lives = asked(port, "/livez")[0]
    own_broker.start()
    back = until(lambda: asked(port, "/readyz"), lambda found: found[0] == 200)[1]

    assert (status, ready["mode"], ready["process"]) == (200, "sandbox", "nameko")
    assert measured == 1
    span = collector.trace("a" * 32)["orders.get_order"]
    assert (span["parentSpanId"], span["kind"]) == ("b" * 16, 2)
    assert collector.services == {"pbxim-services"}
    assert (away["broker"], "orders" in away["away"], lives) == ("away", True, 200)
    assert back["broker"] == "ok"

"""The broker is killed and started again, once, under everything that stands on it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from deploy import wire
from deploy.ground import all_specs
from deploy.publisher import Publisher
from deploy.relay import Relay, Runner
from deploy.rpc_client import RpcClient, _Link
from deploy.single import FileLock
from shared.errors import Unavailable
from shared.stores import SqliteStore
from tests.integration.bus.listening import Listener, Writer
from tests.integration.bus.nameko_processes import Called, when_there
from tests.support.rabbitmq import Broker
from tests.support.worlds import context

pytestmark = pytest.mark.broker
EVENTS = 1000


def test_a_broker_killed_under_load_loses_no_event_and_all_callers_come_back(
    broker: Broker, called: Called, data: Path
) -> None:
    all_specs()
    client = RpcClient(broker.uri, size=2, seconds=3)
    listener = Listener(broker.uri)
    writer, state = Writer(data), SqliteStore(data / "state.db", durable=True)
    written = set(writer.write(EVENTS))
    publisher = Publisher(broker.uri, confirm_seconds=5)
    relay = Relay(writer.log, state, publisher, batch=20)
    runner = Runner(relay, publisher, FileLock(data / "relay.lock"))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    before = listener.heard(60)
    under_way = _Link(broker.uri)
    call = wire.encode({"args": [context()], "kwargs": {"seconds": 1.0}})
    under_way._send("odd.dawdle", call, {}, "nobody waits", time.monotonic() + 60)
    client.call("odd", "echo", context(), thing=0)  # Behind the other one in the same queue.

    broker.kill()
    try:
        reached = relay.position
        with pytest.raises(Unavailable) as refused:
            client.call("odd", "echo", context(), thing=1)
        called.process.says("rpc_answer_lost")  # The call ended, and its process lives.
    finally:
        broker.start()  # Others stand on it, too.
    after = listener.until(lambda found: written <= {one.position for one in (*before, *found)})
    answer = when_there(lambda: client.call("odd", "echo", context(), thing=2))
    runner.stopping.set()
    thread.join(30)
    client.close()
    under_way.close()

    events = {f"evt_{e.event_id.hex()}": e.position for e in writer.log.read_all(0, 2 * EVENTS)}
    writer.log.close()
    state.close()
    assert refused.value.code == "service_unavailable"
    assert reached < EVENTS, "it was not killed in the middle"
    assert relay.position == EVENTS
    assert {one.message_id: one.position for one in before + after} == events
    assert answer["thing"] == 2

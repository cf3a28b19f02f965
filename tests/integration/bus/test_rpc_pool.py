"""Time-outs, threads and links of the pool, in front of real services and a real broker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from deploy.rpc_client import RpcClient
from shared.errors import Unavailable
from tests.integration.bus.listening import Listener
from tests.integration.bus.nameko_processes import Called, when_there
from tests.support.children import frozen
from tests.support.rabbitmq import Broker, free_port
from tests.support.worlds import context

pytestmark = pytest.mark.broker


def test_a_service_that_is_not_there_is_unavailable_at_once(called: Called) -> None:
    began = time.monotonic()

    with pytest.raises(Unavailable) as refused:
        called.client.call("weather", "get_forecast", context())

    assert refused.value.code == "service_unavailable"
    assert time.monotonic() - began < 5


def test_a_broker_that_is_not_there_is_unavailable() -> None:
    client = RpcClient(f"amqp://guest:hush@127.0.0.1:{free_port()}//", seconds=2)

    with pytest.raises(Unavailable) as refused:
        client.call("orders", "list_orders", context())

    assert refused.value.code == "service_unavailable"
    assert "hush" not in str(refused.value)


def test_a_broker_that_hangs_costs_a_call_its_time_and_no_more(
    called: Called, broker: Broker
) -> None:
    took = []
    with closing(RpcClient(called.uri, size=2, seconds=0.5)) as client:
        client.call("odd", "echo", context(), thing=1)
        with frozen(broker.pid):
            for _ in range(2):  # With the link that is there, and with one that has to be made.
                began = time.monotonic()
                with pytest.raises(Unavailable):
                    client.call("odd", "echo", context(), thing=2)
                took.append(time.monotonic() - began)
        answer = when_there(lambda: client.call("odd", "echo", context(), thing=3))

    assert max(took) < 2.5
    assert answer["thing"] == 3


def test_a_call_whose_deadline_has_passed_is_not_made(called: Called) -> None:
    listener = Listener(called.uri, "nameko-rpc", "odd.dawdle")

    with pytest.raises(Unavailable):
        called.client.call("odd", "dawdle", context(deadline=time.time() - 1), seconds=0.0)

    assert listener.rest() == []


def test_a_call_ends_with_its_time_and_its_late_answer_is_nobodys(called: Called) -> None:
    client = RpcClient(called.uri, size=1, seconds=0.5)
    client.call("odd", "echo", context(), thing=1)
    began = time.monotonic()

    with pytest.raises(Unavailable) as refused:
        client.call("odd", "dawdle", context(), seconds=0.8)
    took = time.monotonic() - began
    answers = [client.call("odd", "echo", context(), thing=n)["thing"] for n in range(20)]

    client.close()
    assert refused.value.code == "service_unavailable"
    assert refused.value.detail == "odd.dawdle did not answer in time."
    assert 0.5 <= took < 0.8
    assert answers == list(range(20))


def test_a_deadline_of_the_context_shortens_the_call(called: Called) -> None:
    began = time.monotonic()

    with pytest.raises(Unavailable):
        called.client.call("odd", "dawdle", context(deadline=time.time() + 0.3), seconds=1.0)

    assert time.monotonic() - began < 1.0


def test_32_threads_get_their_own_answers_through_8_links(called: Called) -> None:
    def ask(n: int) -> list[dict]:
        who = context(f"acct_{n}", traceparent=f"00-{n}")
        return [called.client.call("odd", "echo", who, thing=[n, i]) for i in range(5)]

    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(ask, range(32)))

    assert found == [
        [{"thing": [n, i], "account_id": f"acct_{n}", "traceparent": f"00-{n}"} for i in range(5)]
        for n in range(32)
    ]


def test_calls_leave_no_file_open_behind_them(called: Called) -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{called.process.process.pid}/fd").iterdir()))

    def ask(_n: int) -> object:
        return called.client.call("orders", "list_orders", context())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(40)))
        before = open_files()
        list(threads.map(ask, range(200)))

    assert open_files() <= before + 10


def test_more_callers_than_links_take_turns(called: Called) -> None:
    client = RpcClient(called.uri, size=1, seconds=5)
    began = time.monotonic()

    def ask(_n: int) -> float:
        found: float = client.call("odd", "dawdle", context(), seconds=0.1)
        return found

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(ask, range(3)))

    client.close()
    assert found == [0.1] * 3
    assert time.monotonic() - began >= 0.3


def test_a_caller_for_whom_no_link_is_free_in_time_is_told(called: Called) -> None:
    client = RpcClient(called.uri, size=1, seconds=0.6)
    client.call("odd", "echo", context(), thing=1)

    def ask(_n: int) -> str:
        try:
            return str(client.call("odd", "dawdle", context(), seconds=0.4))
        except Unavailable as error:
            return error.code

    with ThreadPoolExecutor(2) as threads:
        found = sorted(threads.map(ask, range(2)))

    client.close()
    assert found == ["0.4", "service_unavailable"]

"""What calls over RabbitMQ answer and refuse: the same as in one process."""

from __future__ import annotations

import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy import wire
from deploy.rpc_client import _Link
from shared.errors import Broken, NotAllowed, NotFound, PbxError, Unprocessable
from tests.integration.bus.listening import ROOT, Listener
from tests.integration.bus.nameko_processes import NAMEKO, Called, when_there
from tests.support.worlds import context

pytestmark = pytest.mark.broker


def test_a_number_is_bought_by_calls_alone(called: Called) -> None:
    buyer = called.site.customer("pm_card_visa")
    offer = called.site.offer()

    def ask(service: str, method: str, key: str = "", **arguments: object) -> dict:
        answer = called.client.call(
            service, method, context(buyer.account_id, key=key), **arguments
        )
        called.site.settle()
        return answer

    items = [{"offer_id": offer["offer_id"], "quantity": 2}]
    hold = ask("inventory", "hold_numbers", "k1", items=items)
    placed = ask("orders", "place_order", "k2", quote_id=hold["id"])
    again = ask("orders", "place_order", "k2", quote_id=hold["id"])

    order = ask("orders", "get_order", order_id=placed["id"])
    assert again["id"] == placed["id"]
    assert order["status"] == "fulfilled"
    assert [n["status"] for n in order["numbers"]] == ["purchased", "purchased"]


def test_a_question_waits_for_what_the_caller_has_seen(called: Called) -> None:
    buyer = called.site.customer("pm_card_visa")
    items = [{"offer_id": called.site.offer()["offer_id"], "quantity": 1}]
    who = buyer.account_id
    placed = called.client.call("orders", "place_order", context(who, key="k1"), items=items)
    seen = context(who, at_least=placed["position"])

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(
            called.client.call, "orders", "get_order", seen, order_id=placed["id"]
        )
        called.site.settle()  # The read models are filled only now, by another process.

    assert asked.result()["id"] == placed["id"]


@pytest.mark.parametrize(
    ("method", "arguments", "kind", "code", "param"),
    [
        ("orders.get_order", {"order_id": "ord_none"}, NotFound, "order_unknown", None),
        ("orders.get_order", {}, Unprocessable, "missing_field", "order_id"),
        ("orders.get_order", {"order_id": 7}, Unprocessable, "invalid_value", "order_id"),
        ("orders.list_orders", {"colour": 1}, Unprocessable, "unknown_field", "colour"),
        ("inventory.get_stock", {}, NotAllowed, "staff_only", None),
        ("orders.sell_everything", {}, Broken, "method_unknown", None),
        ("odd.explode", {}, Broken, "internal_error", None),
    ],
)
def test_an_error_comes_back_as_itself(
    called: Called, method: str, arguments: dict, kind: type, code: str, param: str | None
) -> None:
    with pytest.raises(PbxError) as refused:
        called.client.call(*method.split("."), context(), **arguments)

    assert type(refused.value) is kind
    assert (refused.value.code, refused.value.param) == (code, param)
    assert "hush" not in str(refused.value)


def test_refusals_say_the_same_here_as_in_one_process(called: Called) -> None:
    told = []
    for client in (called.client, called.site.world.client):
        with pytest.raises(PbxError) as refused:
            client.call("inventory", "hold_numbers", context(), items=[{"number": "+12125550100"}])
        told.append((type(refused.value), refused.value.code, str(refused.value)))

    assert told[0] == told[1]
    assert told[0][1] == "idempotency_key_missing"


@pytest.mark.parametrize("given", [[], [None], [{}], [{"account_id": "acct_1"}], ["acct_1"]])
def test_a_call_without_a_context_is_refused(called: Called, given: list) -> None:
    link = _Link(called.uri)
    request = wire.encode({"args": given, "kwargs": {"order_id": "ord_1"}})

    answer = link.ask("orders.get_order", request, {}, time.monotonic() + 5)

    link.close()
    assert wire.from_answer(answer["error"], "").code == "context_missing"


def test_a_link_whose_end_a_worker_finds_first_is_made_anew_with_its_consumer(
    called: Called,
) -> None:
    called.client.call("odd", "sever", context(), name=uuid.uuid4().hex, seconds=1.5)

    answer = when_there(lambda: called.client.call("odd", "echo", context(), thing=1))

    assert answer["thing"] == 1


def test_who_asks_and_in_what_connection_is_in_the_headers_too(called: Called) -> None:
    listener = Listener(called.uri, "nameko-rpc", "odd.echo")
    name = uuid.uuid4().hex

    called.client.call(
        "odd", "echo", context(correlation_id=name, traceparent="00-1-2-01"), thing=1
    )

    found = [m for m in listener.rest() if m.headers.get("nameko.correlation_id") == name]
    assert [m.headers["nameko.traceparent"] for m in found] == ["00-1-2-01"]
    assert [m.body["args"][0]["correlation_id"] for m in found] == [name]
    assert [0 < int(m.properties["expiration"]) <= 10_001 for m in found] == [True]


SHELL = """
from deploy.nameko_services import as_account
try:
    n.rpc.orders.get_order(as_account("acct_1"), order_id="ord_none")
except Exception as error:
    print(type(error).__module__, type(error).__name__, error.code)

print(n.rpc.odd.echo(as_account("acct_1"), thing=7)["account_id"])
"""


def test_the_shell_of_nameko_calls_services_and_gets_our_errors(called: Called) -> None:
    done = subprocess.run(
        [NAMEKO, "shell", "--config", "deploy/nameko.yaml", "--interface", "plain"],
        cwd=ROOT,
        env={"PBXIM_AMQP": called.uri, "PYTHONWARNINGS": "ignore"},
        input=SHELL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert "shared.errors NotFound order_unknown" in done.stdout, done
    assert "acct_1" in done.stdout

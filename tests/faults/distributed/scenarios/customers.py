"""What customers and the payment provider do: the same thing many times at once, and answers that
are lost."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from kombu import Connection

from tests.faults.distributed.ledger import Line, digest
from tests.faults.distributed.run import Run
from tests.support.product import Answer

_AT_ONCE = 16


def same_key(run: Run) -> None:
    """Sixteen clients send the same order with the same key in the same moment."""
    replayed = 0
    for _ in range(3 if run.short else 15):
        quote = run.load.probe.quote()
        if quote is None:
            continue
        key, body = uuid.uuid4().hex, {"quote_id": quote["id"]}
        answers = _at_once(partial(_patiently, run, body, key))
        made = {a.body["id"] for a in answers if a.status == 201}
        assert len(made) == 1, f"{len(made)} orders under one key"
        assert {a.status for a in answers} == {201}, {a.status for a in answers}
        replayed += sum("idempotent-replayed" in map(str.lower, a.headers) for a in answers)
        answer = {"id": made.pop(), "quote_id": quote["id"]}
        line = Line(run.load.probe.account, "order", key, digest(body), 201, answer)
        run.load.ledger.write(line)
    run.notes.append(f"answered from the first: {replayed}")
    run.since = time.monotonic()


def _patiently(run: Run, body: dict[str, Any], key: str) -> Answer:
    end = time.monotonic() + 20
    while True:
        answer = run.load.probe.client.post("/v1/orders", body, key)
        if answer.code != "idempotency_key_in_use" or time.monotonic() > end:
            return answer


def _at_once(work: Callable[[], Any]) -> list[Any]:
    barrier = threading.Barrier(_AT_ONCE)

    def one(_n: int) -> Any:
        barrier.wait(20)
        return work()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, range(_AT_ONCE), timeout=60))


def payments_misbehave(run: Run) -> None:
    """The provider drops answers after it has booked, or answers when nobody waits any more; fails
    before and after, and is slow; its reports come twice, late and in another order."""
    rules = [
        {"fault": "dropped_answer", "probability": 0.15, "seed": run.chance.randint(1, 99)},
        {
            "fault": "delay_after",
            "seconds": 5,
            "probability": 0.1,
            "seed": run.chance.randint(1, 99),
        },
        {"fault": "500_after", "probability": 0.1, "seed": run.chance.randint(1, 99)},
        {"fault": "500_before", "probability": 0.1, "seed": run.chance.randint(1, 99)},
        {"fault": "delay", "seconds": 0.3, "probability": 0.2, "seed": run.chance.randint(1, 99)},
        {"fault": "webhook_doubled", "probability": 0.3, "seed": run.chance.randint(1, 99)},
        {"fault": "webhook_reordered", "probability": 0.3, "seed": run.chance.randint(1, 99)},
    ]
    control = run.system.product.payments()
    for rule in rules:
        if not rule["fault"].startswith("webhook"):  # type: ignore[attr-defined]
            rule["match"] = {"method": "POST", "path": "/v1/payment_intents"}
    assert control.ask("PUT", "/_faults", rules).status == 200
    time.sleep(8 if run.short else 30)
    happened = {rule["fault"]: rule["happened"] for rule in control.get("/_faults").body["rules"]}
    assert run.short or all(happened.values()), happened
    run.notes.append(f"of the provider: {happened}")
    assert control.ask("PUT", "/_faults", []).status == 200
    run.since = time.monotonic()


def queue_deleted(run: Run) -> None:
    """The queues of calls are deleted under load, with what is in them."""
    for _ in range(2 if run.short else 5):
        with Connection(run.system.servers.broker) as connection:
            for name in ("rpc-orders", "rpc-inventory", "rpc-routing"):
                connection.default_channel.queue_delete(name)
        run.useful(time.monotonic())
        time.sleep(1)

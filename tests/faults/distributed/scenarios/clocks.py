"""The machine's clock jumps by an hour for one process, as after a wrong answer to NTP."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.distributed.run import Run
from tests.faults.distributed.scenarios.killing import die_at
from tests.faults.distributed.supervised import until

_HOUR = 3600
_BRIEF_MINUTES = 30
_HOLDS = 8


def clocks_jump(run: Run) -> None:
    """One process after the other is an hour ahead, right again, an hour behind, right again. Holds
    of half an hour end once, when their runner is ahead, and what was to be tried again a second
    later by the wrong clock does not wait for an hour."""
    holds = _brief_holds(run)
    assert _ended(run, holds) == [0] * _HOLDS
    for name in _one_of_each(run):
        with _failing_payments(run, name) as failing:
            _jump(run, name, _HOUR)
            if failing:
                until(lambda: _charges_waiting(run) > 0, 60, "a charge waits for its next try")
            if name in {"inventory-runner", "runners"}:
                until(lambda: 0 not in _ended(run, holds), 30, "holds end when their time is over")
            if name == "gateway":  # The next one's clock is right again.
                die_at(run, name, "answer.before", 4)
                run.system.listening()
            _jump(run, name, 0)
        run.useful(time.monotonic())
        _jump(run, name, -_HOUR)
        run.useful(time.monotonic())
        _jump(run, name, 0)
    run.since = time.monotonic()
    assert _ended(run, holds) == [1] * _HOLDS, "each hold has ended once"


def _one_of_each(run: Run) -> list[str]:
    if run.system.together:
        return ["gateway", "services", "runners", "relay"]
    runners = ["inventory-runner", "orders-runner", "billing-runner"]
    return ["gateway", "inventory", "orders", *runners, "relay"]


def _jump(run: Run, name: str, seconds: int) -> None:
    run.system.tell(name, f"clock {seconds}")


@contextlib.contextmanager
def _failing_payments(run: Run, name: str) -> Iterator[bool]:
    """While it is the payments' runner whose clock jumps, most charges have to be tried again."""
    if name not in {"billing-runner", "runners"}:
        yield False
        return
    control = run.system.product.payments()
    match = {"method": "POST", "path": "/v1/payment_intents"}
    rule = {"fault": "500_before", "probability": 0.8, "seed": run.chance.randint(1, 99)}
    assert control.ask("PUT", "/_faults", [rule | {"match": match}]).status == 200
    try:
        yield True
    finally:
        assert control.ask("PUT", "/_faults", []).status == 200


def _charges_waiting(run: Run) -> int:
    """How many have failed by a clock that is ahead."""
    query = "SELECT count(*) FROM state_billing.effect WHERE due_at > now() + interval '30 min'"
    with contextlib.closing(run.system.connection()) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        ((found,),) = cursor.fetchall()
        return int(found)


def _brief_holds(run: Run) -> list[str]:
    """Holds of the demo account, by a service that is told another time for them."""
    name = "services" if run.system.together else "inventory"
    run.system.halt(name)
    run.system.add(f"{name}-brief", name, otherwise=_briefly)
    found: list[str] = []
    for offer in run.load.offers[:_HOLDS]:
        wanted = {"items": [{"offer_id": offer.id, "quantity": 1}]}
        until(lambda: _held(run, wanted, found), 60, "a number is held")  # noqa: B023
    run.system.remove(f"{name}-brief")
    run.system.resume(name)
    run.useful(time.monotonic())
    return found


def _held(run: Run, wanted: Mapping[str, Any], found: list[str]) -> bool:
    answer = run.system.product.customer().post("/v1/quotes", wanted)
    if answer.status == 201:
        found.append(answer.body["id"])
    return answer.status == 201


def _briefly(section: dict[str, str]) -> None:
    told = section["environment"]
    section["environment"] = told.replace(
        'PBXIM_HOLD_MINUTES="600"', f'PBXIM_HOLD_MINUTES="{_BRIEF_MINUTES}"'
    )
    assert section["environment"] != told


def _ended(run: Run, holds: list[str]) -> list[int]:
    """How often each hold has ended."""
    log = run.system.product.events()
    try:
        streams = [log.read_stream(f"hold-{hold}") for hold in holds]
        return [sum(event.type == "HoldReleased" for event in stream) for stream in streams]
    finally:
        log.close()

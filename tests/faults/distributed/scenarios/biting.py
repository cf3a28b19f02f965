"""The same faults with a protection off. Each has to be noticed, as what is named here."""

from __future__ import annotations

import time

from tests.faults.distributed.run import Run
from tests.faults.distributed.scenarios.killing import die_at

_PATIENCE_SECONDS = 20.0


def no_key(run: Run) -> None:
    """Customers repeat a command under a new key each time; gateways die before they answer."""
    for customer in run.load.customers:
        customer.same_key = False
        # An order whose answer was lost is refused from then on: its quote has become an order.
        customer.patience = _PATIENCE_SECONDS
    for _ in range(3):
        die_at(run, "gateway", "answer.before", 4)
        time.sleep(1)


def no_payment_key(run: Run) -> None:
    """Every attempt to charge is a new one for the provider; the runner dies after the call."""
    name = _billing(run)
    run.system.halt(name)
    weak = f"{name}-weak"
    run.system.add(weak, name, "nopaymentkey")
    for _ in range(3):
        die_at(run, weak, "effect.after", 2)
    run.system.remove(weak)
    run.system.resume(name)
    run.since = time.monotonic()


def no_confirms(run: Run) -> None:
    """The relay takes for granted what it has sent; the broker dies with a lot under way."""
    run.system.halt("relay")
    time.sleep(4)
    run.system.add("relay-weak", "relay", "noconfirm")
    for _ in range(3):
        run.kill("rabbitmq")
        time.sleep(3)
    run.system.remove("relay-weak")
    run.system.resume("relay")
    run.since = time.monotonic()


def _billing(run: Run) -> str:
    return "runners" if run.system.together else "billing-runner"

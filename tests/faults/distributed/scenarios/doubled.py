"""Processes of which only one should be active are active twice; one of the two stands still."""

from __future__ import annotations

import signal
import time

from tests.faults.distributed.run import Run
from tests.faults.distributed.supervised import until

_BOTH_SECONDS = 15.0


def two_of_each(run: Run) -> None:
    """A second relay and second runners that ignore the lock, beside those that hold it. The first
    ones are stopped for a minute and go on in the middle of what they were at."""
    first = _runners(run)
    for name in first:
        run.system.add(f"{name}-2", name, "nolock")
    time.sleep(5 if run.short else _BOTH_SECONDS)
    for name in first:
        run.system.signal(name, signal.SIGSTOP)
    time.sleep(10 if run.short else 60)
    for name in first:
        run.system.signal(name, signal.SIGCONT)
    since = time.monotonic()
    run.useful(since)
    time.sleep(2 if run.short else _BOTH_SECONDS)
    for name in first:
        run.system.remove(f"{name}-2")


def stand_by(run: Run) -> None:
    """A second relay stands by; the active one is killed, and the other one takes over."""
    run.system.add("relay-2", "relay")
    _stands_by(run, "relay-2")
    began, old = time.monotonic(), run.system.kill("relay")
    _until_active(run, "relay-2")
    run.notes.append(f"the other relay took over after {time.monotonic() - began:.1f} s")
    run.kills += 1
    run.useful(run.system.back("relay", old))
    _stands_by(run, "relay")  # It came too late.
    run.system.remove("relay-2")
    _until_active(run, "relay")


def _stands_by(run: Run, name: str) -> None:
    until(lambda: run.system.health(name).get("active") is False, 30, f"{name} stands by")


def _until_active(run: Run, name: str) -> None:
    until(lambda: run.system.health(name).get("active") is True, 10, f"{name} is active")


def unfenced(run: Run) -> None:
    """As ``two_of_each``, with checkpoints that anybody may move: has to be noticed."""
    for name in _runners(run):
        run.system.halt(name)
        for n in "12":
            run.system.add(f"{name}-{n}", name, "nolock,nofence")
    views = _runners(run)[0]  # The one that counts what is left of offers.
    for _ in range(6):
        for n in "12":  # What one has shown meanwhile, the other one shows again.
            _pause(run, [f"{views}-{n}"], 3)
            time.sleep(1)
    for name in _runners(run):
        for n in "12":
            run.system.remove(f"{name}-{n}")
        run.system.resume(name)
    run.since = time.monotonic()


def _pause(run: Run, names: list[str], seconds: float) -> None:
    for name in names:
        run.system.signal(name, signal.SIGSTOP)
    time.sleep(seconds)
    for name in names:
        run.system.signal(name, signal.SIGCONT)


def _runners(run: Run) -> list[str]:
    if run.system.together:
        return ["runners", "relay"]
    return ["inventory-runner", "orders-runner", "billing-runner", "relay"]

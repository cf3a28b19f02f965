"""Processes that are ended in order, or stand still."""

from __future__ import annotations

import signal
import time

from tests.faults.distributed.run import Run

_EVERY_SECONDS = 5.0


def rolling_restart(run: Run) -> None:
    """One process after the other is told to end (SIGTERM) and started anew, every five seconds."""
    for name in run.system.names:
        began = time.monotonic()
        since = run.system.restart(name)
        if run.short:
            run.since = since
            continue
        run.useful(since)
        left = _EVERY_SECONDS - (time.monotonic() - began)
        if left > 0:
            time.sleep(left)


def frozen(run: Run) -> None:
    """A service, a runner and the relay stand still for a minute (three heartbeats of the relay's
    link to the broker, one of the service's), and go on as if nothing had been."""
    names = ["runners", "services"] if run.system.together else ["orders", "inventory-runner"]
    for name in [*names, "relay"]:
        run.system.signal(name, signal.SIGSTOP)
    time.sleep(10 if run.short else 60)
    for name in [*names, "relay"]:
        run.system.signal(name, signal.SIGCONT)
    run.since = time.monotonic()

"""The broker and the database die, are away, are short of memory."""

from __future__ import annotations

import os
import subprocess
import time

from tests.faults.distributed.run import Run

_AWAY_SECONDS = 60.0


def broker_killed(run: Run) -> None:
    """SIGKILL for the broker under load."""
    for _ in range(1 if run.short else 3):
        run.useful(run.kill("rabbitmq"))
        time.sleep(2 + run.chance.random())


def database_killed(run: Run) -> None:
    """SIGKILL for PostgreSQL's first process under load."""
    for _ in range(1 if run.short else 3):
        run.useful(run.kill("postgresql"))
        time.sleep(2 + run.chance.random())


def broker_away(run: Run) -> None:
    """The broker is ended for a minute."""
    _away(run, "rabbitmq")


def database_away(run: Run) -> None:
    """PostgreSQL is ended for half a minute."""
    _away(run, "postgresql", 30)


def _away(run: Run, name: str, seconds: float = _AWAY_SECONDS) -> None:
    old = run.system.pid(name)
    run.system.halt(name)
    time.sleep(seconds)
    run.system.resume(name)
    run.since = run.system.back(name, old)


def memory_alarm(run: Run) -> None:
    """The broker is short of memory for a while: it takes nothing from publishers."""
    _control(run, "set_vm_memory_high_watermark", "0.00001")
    time.sleep(20)
    _control(run, "set_vm_memory_high_watermark", "0.4")
    run.since = time.monotonic()


def _control(run: Run, *words: str) -> None:
    place = run.system.up / "rabbitmq"
    environment = os.environ | run.system.servers._rabbitmq_environment(place)
    command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

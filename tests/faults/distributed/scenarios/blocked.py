"""The hub of a nameko service is busy: nothing of its process runs, not even its heartbeats."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.faults.distributed.run import Run
from tests.faults.distributed.supervised import until
from tests.support.product import ROOT

_CONFIG = "deploy/nameko.yaml"
_HEARTBEAT_SECONDS = 4
_BUSY_SECONDS = 13  # More than three of them, and RabbitMQ lets two pass.


def hub_blocked(run: Run) -> None:
    """Services compute for longer than two heartbeats and hold the calls that they have taken; the
    broker cuts them off meanwhile. They have to go on as the processes that they are."""
    names = ["services"] if run.system.together else ["inventory", "orders"]
    for name in names:
        run.system.halt(name)
        run.system.add(f"{name}-2", name, otherwise=_nervous(run))
    run.load.useful_again(0.0)
    before, cut = {name: run.system.pid(f"{name}-2") for name in names}, _cut_off(run)
    for name in names:
        run.system.tell(f"{name}-2", f"spin {_BUSY_SECONDS}")
    ended = time.monotonic() + _BUSY_SECONDS
    until(lambda: _cut_off(run) >= cut + len(names), 60, "the broker has missed their heartbeats")
    run.useful(ended)
    run.notes.append(f"cut off by the broker: {_cut_off(run) - cut} links")
    for name, pid in before.items():
        assert run.system.pid(f"{name}-2") == pid, f"{name} did not survive"
        run.system.remove(f"{name}-2")
        run.system.resume(name)
    run.load.useful_again(0.0)


def _nervous(run: Run) -> Any:
    mine: Path = run.system.folder / "nervous.yaml"
    told = (ROOT / _CONFIG).read_text()
    mine.write_text(told.replace("HEARTBEAT: 60", f"HEARTBEAT: {_HEARTBEAT_SECONDS}"))
    assert mine.read_text() != told

    def change(section: dict[str, str]) -> None:
        section["command"] = section["command"].replace(_CONFIG, str(mine))

    return change


def _cut_off(run: Run) -> int:
    return (run.system.up / "log" / "rabbitmq.log").read_text().count("missed heartbeats")

"""Does inside of a process what no signal does by itself. Every process under test has this folder
in ``PYTHONPATH``, so Python loads it before anything else.

SIGUSR2 has it read ``FAULTS_FOLDER/<PBXIM_PROCESS>.told`` and carry that out: ``spin SECONDS``
keeps the thread busy that runs the hub; ``clock SECONDS`` has the machine's clock go wrong by so
much, as the product reads it (``MachineClock``, ``time.time``, ``time.time_ns``). The file is gone
then.
"""

from __future__ import annotations

import importlib
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_time, _time_ns = time.time, time.time_ns
_wrong = 0.0  # Seconds.


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _clock(seconds: float) -> None:
    global _wrong  # noqa: PLW0603  # One process, one clock.
    _wrong = seconds
    clock = importlib.import_module("shared.clock")
    clock.MachineClock.now = lambda _self: datetime.now(UTC) + timedelta(seconds=_wrong)  # type: ignore[attr-defined]


def _carry_out(_number: int, _frame: object) -> None:
    file = Path(os.environ["FAULTS_FOLDER"]) / f"{os.environ['PBXIM_PROCESS']}.told"
    kind, seconds = file.read_text().split()
    file.unlink()
    {"spin": _spin, "clock": _clock}[kind](float(seconds))


if "FAULTS_FOLDER" in os.environ and "PBXIM_PROCESS" in os.environ:
    signal.signal(signal.SIGUSR2, _carry_out)
    time.time = lambda: _time() + _wrong
    time.time_ns = lambda: _time_ns() + int(_wrong * 1e9)

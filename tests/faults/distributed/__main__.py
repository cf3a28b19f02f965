"""``make faults``: plays the scenarios, prints a table, ends with 1 if something is not as it
should be. ``--only NAME`` may be given several times; ``--seed N`` repeats a run."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.distributed.bus import Listeners
from tests.faults.distributed.disk import DatabaseDisk
from tests.faults.distributed.judge import Judge
from tests.faults.distributed.load import Load
from tests.faults.distributed.run import Row, Run, play, prepare
from tests.faults.distributed.scenarios import BITING, ON_A_SMALL_DISK, ON_ITS_OWN, ORDER
from tests.faults.distributed.system import System
from tests.faults.distributed.table import table

_CUSTOMERS = 16
_GOAL = 10_000
ALL = [*ORDER, *BITING, *ON_A_SMALL_DISK, *ON_ITS_OWN]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.distributed", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 100_000))
    parser.add_argument("--only", action="append", choices=sorted(ALL), default=[])
    parser.add_argument("--short", action="store_true", help="fewer rounds, fewer processes")
    parser.add_argument("--folder", type=Path, help="keeps everything there")
    return parser.parse_args()


def play_all(
    folder: Path, names: list[str], seed: int, *, short: bool, customers: int = _CUSTOMERS
) -> list[Row]:
    """Plays scenarios one after the other: most on one system, those of ``alone`` each on one of
    its own."""
    alone = [name for name in names if name in {**ON_A_SMALL_DISK, **ON_ITS_OWN}]
    usual = [name for name in names if name not in alone]
    rows: list[Row] = []
    if usual:
        system = System(folder / "system", together=short)
        rows += _play_on(system, usual, seed, short=short, customers=customers)
    for n, name in enumerate(alone):
        rows += _play_alone(folder / name, name, seed + 500 + n, short=short, customers=customers)
    return rows


def _play_alone(folder: Path, name: str, seed: int, *, short: bool, customers: int) -> list[Row]:
    system = System(folder, together=True)
    disk = DatabaseDisk.mounted() if name in ON_A_SMALL_DISK else None
    try:
        if disk is not None:
            disk.take(system.up)
        return _play_on(system, [name], seed, short=short, customers=customers, disk=disk)
    finally:
        if disk is not None:
            disk.unmount()


def _play_on(
    system: System,
    names: list[str],
    seed: int,
    *,
    short: bool,
    customers: int,
    disk: DatabaseDisk | None = None,
) -> list[Row]:
    rows: list[Row] = []
    listeners = None
    try:
        listeners = Listeners(system.start().servers.broker)
        judge = Judge(system, listeners)
        for n, name in enumerate(names):
            load, run = prepare(system, name, seed + n, customers=customers)
            run.short, run.disk = short, disk
            run.goal = _GOAL - sum(row.acknowledged for row in rows)
            rows.append(_play_one(name, judge, load, run, seed + n))
            _say(table(rows[-1:], head=not n))
    finally:
        if listeners is not None:
            listeners.close()
        system.stop()
    return rows


def _play_one(name: str, judge: Judge, load: Load, run: Run, seed: int) -> Row:
    found, noticed = BITING.get(name) or ({**ORDER, **ON_A_SMALL_DISK, **ON_ITS_OWN}[name], "")
    row = play(name, found, judge, load, run, seed)
    if noticed:
        row.bites = bool(getattr(row.verdict, noticed))
    return row


def _say(text: str) -> None:
    print(text, flush=True)  # To whoever started it.


def main() -> int:
    """Plays what was asked for."""
    given = _arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-", dir=_memory()) as made:
        folder = given.folder or Path(made)
        rows = play_all(folder, given.only or ALL, given.seed, short=given.short)
    _say(f"\nseed {given.seed}, {time.monotonic() - began:.0f} s in all\n")
    _say(table(rows, head=True, total=True))
    return 0 if all(row.passed for row in rows) else 1


def _memory() -> str | None:
    place = Path("/dev/shm")  # nosec B108  # A folder of our own is made in it.
    return str(place) if place.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())

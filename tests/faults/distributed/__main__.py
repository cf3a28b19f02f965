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
from tests.faults.distributed.judge import Judge
from tests.faults.distributed.run import Row, play, prepare
from tests.faults.distributed.scenarios import BITING, ORDER
from tests.faults.distributed.system import System
from tests.faults.distributed.table import table

_CUSTOMERS = 16
_GOAL = 10_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.distributed", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 100_000))
    parser.add_argument("--only", action="append", choices=sorted({**ORDER, **BITING}), default=[])
    parser.add_argument("--short", action="store_true", help="fewer rounds, fewer processes")
    parser.add_argument("--folder", type=Path, help="keeps everything there")
    return parser.parse_args()


def play_all(
    folder: Path, names: list[str], seed: int, *, short: bool, customers: int = _CUSTOMERS
) -> list[Row]:
    """Plays scenarios on one system, one after the other."""
    rows: list[Row] = []
    system = System(folder, together=short).start()
    listeners = Listeners(system.servers.broker)
    try:
        judge = Judge(system, listeners)
        for n, name in enumerate(names):
            load, run = prepare(system, name, seed + n, customers=customers)
            run.short = short
            run.goal = _GOAL - sum(row.acknowledged for row in rows)
            scenario, noticed = BITING.get(name) or (ORDER[name], "")
            row = play(name, scenario, judge, load, run, seed + n)
            rows.append(row)
            if noticed:
                row.bites = bool(getattr(row.verdict, noticed))
            _say(table(rows[-1:], head=not n))
    finally:
        listeners.close()
        system.stop()
    return rows


def _say(text: str) -> None:
    print(text, flush=True)  # To whoever started it.


def main() -> int:
    """Plays what was asked for."""
    given = _arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-", dir=_memory()) as made:
        folder = given.folder or Path(made)
        rows = play_all(folder, given.only or [*ORDER, *BITING], given.seed, short=given.short)
    _say(f"\nseed {given.seed}, {time.monotonic() - began:.0f} s in all\n")
    _say(table(rows, head=True, total=True))
    return 0 if all(row.passed for row in rows) else 1


def _memory() -> str | None:
    place = Path("/dev/shm")  # nosec B108  # A folder of our own is made in it.
    return str(place) if place.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())

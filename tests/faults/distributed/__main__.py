"""``make faults``: plays the scenarios, prints a table, ends with 1 if something is not as it
should be. ``--only NAME`` may be given several times; ``--seed N`` repeats a run."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.distributed.player import ALL, Player
from tests.faults.distributed.run import Row
from tests.faults.distributed.table import table

_SECONDS = 28.5 * 60.0  # What begins last takes less than the rest of the half hour.


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.distributed", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 100_000))
    parser.add_argument("--only", action="append", choices=sorted(ALL), default=[])
    parser.add_argument("--short", action="store_true", help="fewer rounds, fewer processes")
    parser.add_argument("--folder", type=Path, help="keeps everything there")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)  # To whoever started it.


def _tell(row: Row) -> None:
    _say(table([row], head=False))


def main() -> int:
    """Plays what was asked for."""
    given = _arguments()
    names, began = given.only or ALL, time.monotonic()
    _say(table([], head=True))
    with tempfile.TemporaryDirectory(prefix="faults-", dir=_memory()) as made:
        folder = given.folder or Path(made)
        player = Player(folder, given.seed, short=given.short, seconds=_SECONDS, tell=_tell)
        rows = player.play(names)
    _say(f"\nseed {given.seed}, {time.monotonic() - began:.0f} s in all\n")
    _say(table(rows, head=True, total=True))
    left = [name for name in names if name not in {row.name for row in rows}]
    if left:
        _say(f"not played, because the time was over: {', '.join(left)}")
    return 0 if all(row.passed for row in rows) and not left else 1


def _memory() -> str | None:
    place = Path("/dev/shm")  # A folder of our own is made in it.
    return str(place) if place.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())

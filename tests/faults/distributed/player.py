"""Plays scenarios one after the other, on one system where that is possible."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.distributed.bus import Listeners
from tests.faults.distributed.disk import DatabaseDisk
from tests.faults.distributed.judge import Judge
from tests.faults.distributed.load import Load
from tests.faults.distributed.run import Row, Run, play, prepare
from tests.faults.distributed.scenarios import BITING, ON_A_SMALL_DISK, ON_ITS_OWN, ORDER
from tests.faults.distributed.system import System

_EACH_SECONDS = 50.0  # What a scenario takes that is played after the long one.
GOAL = 10_000  # Acknowledged commands.
ALONE = {**ON_A_SMALL_DISK, **ON_ITS_OWN}
ALL = [*ORDER, *BITING, *ALONE]


def _nothing(_row: Row) -> None:
    """Nobody wants to know."""


@dataclass
class Player:
    """What is common to all scenarios of a run. What would begin after ``seconds`` is not played;
    ``tell`` hears of every row when it is there."""

    folder: Path
    seed: int
    short: bool = False
    customers: int = 16
    seconds: float = float("inf")
    tell: Callable[[Row], None] = _nothing

    def __post_init__(self) -> None:
        self.rows: list[Row] = []
        self._left = 0  # Scenarios that are still to be played.
        self._end = time.monotonic() + self.seconds

    def play(self, names: Sequence[str]) -> list[Row]:
        """Plays them: most on one system, some each on one of its own."""
        self._left = len(names)
        usual = [name for name in names if name not in ALONE]
        if usual:
            self._play_on(System(self.folder / "system", together=self.short), usual)
        for name in (name for name in names if name in ALONE):
            self._play_alone(name)
        return self.rows

    def _play_alone(self, name: str) -> None:
        system = System(self.folder / name, together=True)
        if name not in ON_A_SMALL_DISK:
            self._play_on(system, [name])
            return
        disk = DatabaseDisk.mounted()
        try:
            disk.take(system.up)
            self._play_on(system, [name], disk)
        finally:
            disk.unmount()

    def _play_on(
        self, system: System, names: Sequence[str], disk: DatabaseDisk | None = None
    ) -> None:
        if time.monotonic() > self._end:
            return
        listeners = None
        try:
            listeners = Listeners(system.start().servers.broker)
            judge = Judge(system, listeners)
            for name in names:
                if time.monotonic() < self._end:
                    self._play_one(name, system, judge, disk)
        finally:
            if listeners is not None:
                listeners.close()
            system.stop()

    def _play_one(self, name: str, system: System, judge: Judge, disk: DatabaseDisk | None) -> None:
        seed = self.seed + ALL.index(name)
        load, run = prepare(system, name, seed, customers=self.customers)
        run.short, run.disk = self.short, disk
        self._left -= 1
        run.spare = self._end - time.monotonic() - self._left * _EACH_SECONDS
        run.goal = GOAL - sum(row.acknowledged for row in self.rows)
        self.rows.append(_played(name, judge, load, run, seed))
        self.tell(self.rows[-1])


def _played(name: str, judge: Judge, load: Load, run: Run, seed: int) -> Row:
    scenario, noticed = BITING.get(name) or ({**ORDER, **ALONE}[name], "")
    row = play(name, scenario, judge, load, run, seed)
    if noticed:
        row.bites = bool(getattr(row.verdict, noticed))
    return row

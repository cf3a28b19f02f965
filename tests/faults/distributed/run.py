"""One scenario: customers begin, something goes wrong, customers end, the judge looks."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.distributed.disk import DatabaseDisk
from tests.faults.distributed.judge import Judge, Verdict
from tests.faults.distributed.ledger import Ledger
from tests.faults.distributed.load import Load
from tests.faults.distributed.system import System
from tests.support.product import ROOT

RECOVERY_SECONDS = 10.0


@dataclass
class Run:
    """What a scenario has in its hands, and what it writes down. ``since`` is when the part that
    failed was back (monotonic); ``counted`` are recoveries over the limit, less what other work of
    the machine cost; ``planned`` and ``reached`` are fail-points; ``goal`` is how many commands are
    still to be acknowledged in this run, ``spare`` for how many seconds that may go on."""

    system: System
    load: Load
    chance: random.Random
    short: bool = False
    judged: bool = True
    goal: int = 0
    spare: float = float("inf")
    disk: DatabaseDisk | None = None
    kills: int = 0
    planned: list[str] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    since: float | None = None
    recovery: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)

    def kill(self, name: str) -> float:
        """SIGKILL for a process; returns when it is back."""
        old = self.system.kill(name)
        self.kills += bool(old)
        return self.system.back(name, old)

    def useful(self, since: float) -> None:
        """Measures how long it takes until an order is fulfilled again."""
        took = self.load.useful_again(since)
        self.recovery.append(took)
        if took <= RECOVERY_SECONDS:
            return
        # Others may be at work on this machine. What a process gets of a core says how much.
        share = share_of_a_core()
        self.counted.append(took * share)
        self.notes.append(f"{took:.1f} s, while a new process gets {share:.0%} of a core")


def share_of_a_core() -> float:
    """What a process that begins now gets of a core: its computing time by the time it takes."""
    began, before = time.monotonic(), _computed_by_children()
    subprocess.run(
        [sys.executable, "-c", "import deploy.gateway"], cwd=ROOT, check=True, timeout=60
    )
    return min(1.0, (_computed_by_children() - before) / (time.monotonic() - began))


def _computed_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


Scenario = Callable[[Run], None]


@dataclass
class Row:
    """One line of the table."""

    name: str
    seed: int
    acknowledged: int
    run: Run
    verdict: Verdict
    seconds: float
    bites: bool | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong, or for one with a protection off: whether it was noticed."""
        if self.bites is not None:
            return self.bites
        slow = [r for r in self.run.counted if r > RECOVERY_SECONDS]
        return self.verdict.fine and not slow


def play(name: str, scenario: Scenario, judge: Judge, load: Load, run: Run, seed: int) -> Row:
    """Plays a scenario and judges it. What the scenario itself fails with is wrong, too."""
    began = time.monotonic()
    load.start()
    error = ""
    try:
        scenario(run)
        if run.since is not None:
            run.useful(run.since)
    except Exception:  # noqa: BLE001  # Whatever it is, the others are still to be played.
        error = traceback.format_exc() + _tidied(run.system)
    load.stop()
    judge.poison |= run.poison
    verdict = judge.judge(load) if run.judged else Verdict()
    if error:
        verdict.wrong.append(f"the scenario failed: {error}")
    load.ledger.close()
    return Row(name, seed, load.ledger.count, run, verdict, time.monotonic() - began)


def _tidied(system: System) -> str:
    try:
        system.tidy()
    except Exception:  # noqa: BLE001  # As above.
        return traceback.format_exc()
    return ""


def prepare(system: System, name: str, seed: int, *, customers: int) -> tuple[Load, Run]:
    """Accounts and a ledger for one scenario."""
    ledger = Ledger(system.folder / f"ledger-{name}.jsonl")
    load = Load(system, ledger, seed, customers)
    return load, Run(system, load, random.Random(seed))

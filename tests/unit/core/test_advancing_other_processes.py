"""Putting the clock forward where timers are fired by other processes, at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.advancing import Advancing
from shared.consumers.timers import Due
from shared.platform import ClockAdvanced
from tests.support.worlds import START, World, order


@dataclass
class Elsewhere:
    """A scheduler's view whose timers another process fires as soon as the log says that time.
    ``clears``: what is cleared by something that is fired."""

    world: World
    rows: list[Due]
    clears: dict[Due, Due] = field(default_factory=dict)
    fired: list[Due] = field(default_factory=list)

    def fire(self) -> None:
        offsets = [m.offset_seconds for m in self.world.messages(ClockAdvanced)]
        there = self.world.machine.now() + timedelta(seconds=max(offsets, default=0))
        fired = [due for due in self.rows if due.at <= there]
        gone = {*fired, *(self.clears[due] for due in fired if due in self.clears)}
        self.rows = [due for due in self.rows if due not in gone]
        self.fired += fired

    def waiting(
        self, limit: int, after: datetime | None = None, until: datetime | None = None
    ) -> list[Due]:
        self.fire()
        rows = [due for due in self.rows if after is None or due.at > after]
        return sorted(due for due in rows if until is None or due.at <= until)[:limit]

    def next_due(self, after: datetime | None = None) -> datetime | None:
        return min((due.at for due in self.waiting(100, after)), default=None)

    def overdue(self) -> bool:
        return False


class Others:
    """They are at rest whenever they are asked; meanwhile time goes by, and they fire."""

    runs_on = True

    def __init__(self, scheduler: Elsewhere) -> None:
        self.schedulers: list[Any] = [scheduler]

    def standing(self) -> list[str]:
        return []

    def has_work(self) -> bool:
        for scheduler in self.schedulers:
            scheduler.world.machine.forward(seconds=1)
            scheduler.fire()
        return False


def due(minutes: float, key: str) -> Due:
    return Due(START + timedelta(minutes=minutes), "hold_expiry", key)


def advance(elsewhere: Elsewhere) -> list[Due]:
    """An hour forward; what the job lists, which is what was fired."""
    runtime = elsewhere.world.runtime
    advancing = Advancing(runtime, Others(elsewhere))
    advancing.start("job", runtime.clock.now() + timedelta(hours=1), order(None))
    for _ in range(100):
        if not advancing.step():
            break
    job = advancing.job("job")
    assert job.status == "done"
    assert (job.due, job.happened) == (elsewhere.fired, len(elsewhere.fired))
    return job.due


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as made:
        yield made


def test_what_is_fired_the_moment_the_time_is_set_is_listed(world: World) -> None:
    rows = [due(10, "qt_a"), due(20, "qt_b")]
    assert advance(Elsewhere(world, list(rows))) == rows


def test_what_is_fired_a_moment_after_something_else_is_listed_once(world: World) -> None:
    rows = [due(10, "qt_a"), due(10.01, "qt_b"), due(10.5, "qt_c")]
    assert advance(Elsewhere(world, list(rows))) == rows


def test_what_was_cleared_before_its_time_is_not_listed(world: World) -> None:
    first, cleared, last = due(10, "qt_a"), due(10.5, "qt_b"), due(20, "qt_c")
    elsewhere = Elsewhere(world, [first, cleared, last], clears={first: cleared})
    assert advance(elsewhere) == [first, last]

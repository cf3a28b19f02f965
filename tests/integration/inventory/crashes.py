"""Kills the process, so to speak, at one of the log's appends: nothing after it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shared.eventlog import Appended, Conflict, Entry
from tests.support.worlds import World


class Killed(BaseException):
    """Not an error that anybody may handle."""


class KillSwitch:
    """Ends the process at the n-th append from now: before it is written, or after."""

    def __init__(self, world: World, at: int, *, written: bool) -> None:
        self._append: Callable[[Sequence[Entry]], list[Appended | Conflict]]
        self._append = world.log.append_batch
        self._at = at
        self._written = written
        self.count = 0
        world.log.append_batch = self._counted  # type: ignore[method-assign]

    @property
    def reached(self) -> bool:
        """Whether it came to it."""
        return self.count >= self._at

    def _counted(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        self.count += 1
        if self.count == self._at and not self._written:
            raise Killed
        outcomes = self._append(entries)
        if self.count == self._at:
            raise Killed
        return outcomes


def dies(work: Callable[[], Any]) -> bool:
    """Runs the work; says whether the process died in it."""
    try:
        work()
    except Killed:
        return True
    return False


class Overtaker:
    """Lets something else happen as a whole just before the n-th append from now."""

    def __init__(self, world: World, at: int, work: Callable[[], Any]) -> None:
        self._append = world.log.append_batch
        self._at = at
        self._work = work
        self._count = 0
        self.result: Any = None
        world.log.append_batch = self._overtaken  # type: ignore[method-assign]

    @property
    def reached(self) -> bool:
        """Whether it came to it."""
        return self.result is not None

    def _overtaken(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        self._count += 1
        if self._count == self._at:
            self.result = self._work()
        return self._append(entries)

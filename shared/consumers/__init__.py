"""Consumers pull: each reads the log from its checkpoint. One function drives all: ``step()``.

Threads (embedded), runner processes, tests and the test clock call ``step() -> did something``, so
tests need no sleep and can interleave consumers by seed (architecture section 7).
"""

from __future__ import annotations

from typing import Protocol


class Consumer(Protocol):
    """Something that moves forward through the log, one small piece of work at a time."""

    name: str

    def step(self) -> bool:
        """Does one piece of work; says whether there was any."""

    @property
    def position(self) -> int:
        """Up to where it has seen the log."""

    @property
    def failure(self) -> str | None:
        """Why it stands still, if it does."""

"""An aggregate: four pure functions and a name. No base class, no repository, no handler classes.

``evolve`` folds what happened and holds no rules; ``decide`` holds all rules and changes nothing.
Neither reads a clock, makes an id or does I/O: such values arrive in the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What the application needs to know about one kind of stream.

    ``key`` maps a command to the stream's name behind the category: ``order`` + ``ord_…``.
    ``begins`` are commands that mostly make the stream, so that it is not read before.
    ``decide`` answers with the events to record (none: it is already so, or it is pointless) and
    raises a ``Refusal`` when a rule forbids it.
    """

    category: str
    commands: tuple[type, ...]
    initial: Any
    key: Callable[[Any], str]
    evolve: Callable[[Any, Any], Any]
    decide: Callable[[Any, Any], Sequence[Any]]
    begins: tuple[type, ...] = ()

    def stream(self, command: object) -> str:
        """The stream that a command is about."""
        return f"{self.category}-{self.key(command)}"

    def fold(self, state: Any, events: Iterable[Any]) -> Any:
        """The state after some events."""
        return reduce(self.evolve, events, state)

"""Projections of one store that are at the same place write in one transaction.

Each of them would begin, write some rows, move its checkpoint and end; for one event of an order
that is done four times. Together it is one beginning, one end, and one statement that moves all
checkpoints, each of which must still be where it was known to be. Where anything goes wrong nothing
of it is kept, and each steps alone: so the one at fault is found, and stops alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from shared import failpoints, logging
from shared.consumers import checkpoints
from shared.consumers.projections import ProjectionConsumer, Turn

_log = logging.logger("projection")
_MOST_EVENTS = 500  # Who has more to catch up with does so alone: a transaction stays short.

_Turns = list[tuple[ProjectionConsumer, Turn]]


class Together:
    """Steps projections together that can be. Each that it has not dealt with has to step alone."""

    def __init__(self, projections: Iterable[ProjectionConsumer]) -> None:
        self._projections = sorted(projections, key=lambda one: id(one.views))  # By their store.

    def step(self) -> dict[ProjectionConsumer, bool]:
        """One step of those that go to the same place; says of each whether it did something."""
        dealt_with: dict[ProjectionConsumer, bool] = {}
        for _, some in groupby(self._projections, key=attrgetter("views")):
            theirs = list(some)
            if len(theirs) > 1:
                dealt_with |= _step(theirs)
        return dealt_with


def _step(projections: list[ProjectionConsumer]) -> dict[ProjectionConsumer, bool]:
    try:
        turns = [(one, one.next_turn()) for one in projections if one.failure is None]
        going = _near_the_end([(one, turn) for one, turn in turns if turn is not None])
        writing = [(one, turn) for one, turn in going if turn.writes]
        if writing:
            _write(writing)
    except Exception as error:  # noqa: BLE001  # Each one's own step says what is wrong.
        _log.debug("not_together", reason=f"{type(error).__name__}: {error}")
        return {}
    for one, turn in going:
        if not turn.writes:
            one.passed_over(turn)
    idle = {one: False for one, turn in turns if turn is None}
    return idle | {one: True for one, _ in going}


def _near_the_end(turns: _Turns) -> _Turns:
    # Who lags has more to do, and does it alone.
    end = max((turn.after.position for _, turn in turns), default=0)
    at_end = [(one, turn) for one, turn in turns if turn.after.position == end]
    return [(one, turn) for one, turn in at_end if turn.read <= _MOST_EVENTS]


def _write(turns: _Turns) -> None:
    ((first, _), *_) = turns
    with first.views.write() as connection:
        rows = [one.write_rows(connection, turn) for one, turn in turns]
        moved = [(one.name, turn.before, turn.after) for one, turn in turns]
        checkpoints.move_together(connection, moved)
        failpoints.reach("checkpoint.before")
    failpoints.reach("checkpoint.after")
    for (one, turn), written in zip(turns, rows, strict=True):
        one.written(turn, written)

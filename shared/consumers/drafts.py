"""What there is of a read model in the draft of its store: rows and their place, or nothing.

Tables leave the draft when they take the place of those that are read, and their checkpoint is
forgotten after that. So a checkpoint without its tables says nothing.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from shared.consumers import checkpoints
from shared.consumers.checkpoints import CHECKPOINTS, Checkpoint
from shared.errors import Broken
from shared.eventlog import EventLog
from shared.stores import Store

if TYPE_CHECKING:
    from shared.consumers.projections import Projection


def place_of(projection: Projection, draft: Store, log: EventLog) -> Checkpoint | None:
    """How far its rows are that were built from this log; ``None``: there are none of use."""
    with draft.read() as connection:
        there = (draft.has(connection, t) for t in (CHECKPOINTS, projection.tables))
        found = checkpoints.load(connection, projection.name) if all(there) else None
    if found is None or found.version != projection.version:
        return None
    try:
        checkpoints.verify(found, log)
    except Broken:  # Of a log that went back, or of another one.
        return None
    return found


def clear(projection: Projection, draft: Store) -> None:
    """Takes away what there is of it."""
    draft.create(CHECKPOINTS)
    with draft.write() as connection:
        projection.tables.drop_all(connection)
        checkpoints.forget(connection, projection.name)


def take(projection: Projection, views: Store, log: EventLog, old: Checkpoint) -> Checkpoint | None:
    """Puts what was prepared of it in the place of an older version, which stands at ``old``; says
    where it is. ``None``: nothing was prepared. Raises ``FencedError`` and ``busy``."""
    with closing(views.draft()) as draft:
        found = place_of(projection, draft, log)
        if found is not None:
            with views.write() as connection:
                views.take_draft(connection, projection.tables)
                checkpoints.move(connection, projection.name, old, found)
            clear(projection, draft)
        return found

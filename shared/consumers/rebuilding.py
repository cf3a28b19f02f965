"""A read model built anew beside the one that is read, while the product runs and writes.

It is filled in the draft of its store, from the log alone. When it has nearly caught up, one
transaction holds the turn to write of the live one (its runner cannot move then), folds what is
left up to the head of the log, exchanges the tables and stores the place. The live runner finds
another place than it knows, looks where it is now and goes on there: no reader sees fewer rows or
an earlier position. Killed before, nothing that is read has changed, and the next one goes on.
"""

from __future__ import annotations

from shared import failpoints
from shared.consumers import checkpoints, drafts
from shared.consumers.checkpoints import CHECKPOINTS
from shared.consumers.feed import Feed
from shared.consumers.projections import Projection, ProjectionConsumer
from shared.refusals import refusal
from shared.stores import Store


class Rebuilding:
    """One read model on its way. Everything raises ``Unavailable``, and ``rebuild_failed`` where
    the projection cannot fold an event."""

    def __init__(self, projection: Projection, feed: Feed, views: Store) -> None:
        self.name = projection.name
        self._projection = projection
        self._feed = feed
        self._live = views
        self._draft = views.draft()
        self._consumer = ProjectionConsumer(projection, feed, self._draft)

    @property
    def position(self) -> int:
        """Up to where its rows speak."""
        return self._consumer.position

    def begin(self, *, afresh: bool = False) -> int:
        """Takes up what an earlier one has left, if it is of this version and not ``afresh``; says
        up to where."""
        place = drafts.place_of(self._projection, self._draft, self._feed.log)
        if place is None or afresh:
            drafts.clear(self._projection, self._draft)
            return 0
        return place.position

    def step(self) -> bool:
        """Folds the next events; says whether there were any."""
        moved = self._consumer.step()
        if self._consumer.failure is not None:
            detail = f"{self.name} stopped behind {self.position}: {self._consumer.failure}"
            raise refusal("rebuild_failed", detail)
        return moved

    def swap(self) -> bool:
        """Puts it in the place of the live one. ``False``: that is of another version, which this
        one would break; it stays prepared, and a runner of its version takes it when it begins.
        Raises ``busy`` where readers or writers do not let go of the live one: to be repeated."""
        self._live.create(CHECKPOINTS)
        with self._live.write() as connection:
            live = checkpoints.load(connection, self.name)
            if live is not None and live.version != self._projection.version:
                return False
            self._catch_up()
            self._live.take_draft(connection, self._projection.tables)
            checkpoints.move(connection, self.name, live, self._consumer.checkpoint)
            failpoints.reach("swap.before")
        failpoints.reach("swap.after")
        drafts.clear(self._projection, self._draft)
        return True

    def close(self) -> None:
        """Lets go of the draft; what is in it stays."""
        self._draft.close()

    def _catch_up(self) -> None:
        # What the live runner has read was in the log by now, and it shall not go back.
        head = self._feed.log.head()
        while self.step() and self.position < head:
            pass

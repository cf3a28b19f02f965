"""Projections: events → rows of the views store, disposable, rebuilt at will with the same result.

Rows and checkpoint are written in one transaction. A projection that fails stops (a wrong row is
worse than a late one); the others go on. No clock inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, MetaData, Table

from shared import failpoints, logging
from shared.consumers import checkpoints, drafts
from shared.consumers.checkpoints import CHECKPOINTS, Checkpoint, FencedError
from shared.consumers.feed import Feed
from shared.consumers.rows import Key, Rows
from shared.errors import Unavailable
from shared.happened import Happened
from shared.messages import event_type
from shared.stores import Store

_log = logging.logger("projection")
_BATCH = 4096
_WRITE_EVERY = 10_000


@dataclass(frozen=True)
class Projection:
    """One read model. ``fold`` changes rows for an event; ``touches`` says which rows it will ask
    for, so that a batch loads them together. A new ``version`` starts it from the beginning.
    ``awaited`` are the events that somebody waits to see (``Progress.wait_on``)."""

    name: str
    version: int
    tables: MetaData
    events: tuple[type, ...]
    fold: Callable[[Happened, Rows], None]
    touches: Callable[[Any], Iterable[tuple[Table, Key]]] = lambda _: ()
    awaited: tuple[type, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one step of a projection has to do: fold the ``wanted`` of so many events ``read``, and
    move the stored place from ``before`` (``None``: there is none) to ``after``."""

    wanted: list[Happened]
    read: int
    before: Checkpoint | None
    after: Checkpoint
    writes: bool


class ProjectionConsumer:
    """Drives one projection through the log."""

    def __init__(self, projection: Projection, feed: Feed, views: Store) -> None:
        self.name = projection.name
        self.projection = projection
        self._feed = feed
        self.views = views
        self._types = frozenset(event_type(cls).name for cls in projection.events)
        self._awaited = frozenset(event_type(cls).name for cls in projection.awaited)
        self._checkpoint: Checkpoint | None = None
        self._stored: Checkpoint | None = None
        self._fenced = False
        self._since = 0  # So many events were read since. Positions may have gaps.
        self._failure: str | None = None
        self.rows_written = 0
        self.loaded = 0  # So often it looked where the rows are: others may have changed them.
        self.shown: list[str] = []

    @property
    def position(self) -> int:
        """Up to where the rows speak."""
        return self._checkpoint.position if self._checkpoint else 0

    @property
    def checkpoint(self) -> Checkpoint:
        """The place up to where the rows speak. After the first step."""
        return self._checkpoint or self._load()

    @property
    def failure(self) -> str | None:
        """The error that stopped it."""
        return self._failure

    def step(self) -> bool:
        """Folds the next batch. An error stops this projection until the next start."""
        if self._failure is not None:
            return False
        try:
            return self._step()
        except FencedError:
            self._fenced = True  # Until it has looked, it is said to be where it was.
            return True
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            self._failure = f"{type(error).__name__}: {error}"
            _log.exception("projection_stopped", projection=self.name, position=self.position)
            return False

    def rebuild(self) -> None:
        """Empties the tables; the next steps fill them from the beginning."""
        self.views.create(CHECKPOINTS)
        self.views.create(self.projection.tables)
        with self.views.write() as connection:
            for table in self.projection.tables.sorted_tables:
                connection.execute(table.delete())
            checkpoints.forget(connection, self.name)
        self._checkpoint, self._failure = None, None

    def _step(self) -> bool:
        turn = self.next_turn()
        if turn is None:
            return False
        if turn.writes:
            self._write(turn)
        else:
            self.passed_over(turn)
        return True

    def next_turn(self) -> Turn | None:
        """What is to be folded next; ``None`` at the end of the log. Raises as ``step`` does not:
        ``FencedError``, ``log_went_back``, ``Unavailable``."""
        old = self._load() if self._fenced or self._checkpoint is None else self._checkpoint
        batch = self._feed.read(old.position, _BATCH)
        if not batch:
            return None
        wanted = [event for event in batch if event.type in self._types]
        last = batch[-1]
        new = replace(old, position=last.position, event_id=last.stored.event_id)
        writes = bool(wanted) or self._since + len(batch) >= _WRITE_EVERY
        return Turn(wanted, len(batch), self._stored, new, writes=writes)

    def write_rows(self, connection: Connection, turn: Turn) -> int:
        """Folds the events and writes the rows, as a part of a transaction; says how many. Whoever
        ends it stores the place in it, too, and calls ``written`` then."""
        rows = Rows(connection)
        events = turn.wanted
        rows.prefetch(key for event in events for key in self.projection.touches(event.message))
        for event in events:
            self.projection.fold(event, rows)
        return rows.flush()

    def written(self, turn: Turn, rows: int) -> None:
        """The transaction was kept."""
        self._stored, self._since = turn.after, 0
        self.rows_written += rows
        self._moved(turn)

    def passed_over(self, turn: Turn) -> None:
        """There was nothing to write. Only the place in memory moves: the stored one lags."""
        self._since += turn.read
        self._moved(turn)

    def _moved(self, turn: Turn) -> None:
        self._checkpoint = turn.after
        self.shown += [event.stored.stream for event in turn.wanted if event.type in self._awaited]

    def _write(self, turn: Turn) -> None:
        with self.views.write() as connection:
            rows = self.write_rows(connection, turn)
            # It must be the one we know: else another runner folded these, or began anew.
            checkpoints.move(connection, self.name, turn.before, turn.after)
            failpoints.reach("checkpoint.before")
        failpoints.reach("checkpoint.after")
        self.written(turn, rows)

    def _load(self) -> Checkpoint:
        self.views.create(CHECKPOINTS)
        self.views.create(self.projection.tables)
        fresh = checkpoints.start(self.projection.version, self._feed.log)
        with self.views.read() as connection:
            found = checkpoints.load(connection, self.name)
        if found is not None and found.version != self.projection.version:
            found = drafts.take(self.projection, self.views, self._feed.log, found)
            if found is None:
                self._remake()
        if found is not None:
            checkpoints.verify(found, self._feed.log)
        self._stored, self._checkpoint, self._fenced = found, found or fresh, False
        self.loaded += 1
        return self._checkpoint

    def _remake(self) -> None:
        # Another form of the tables: only dropping them brings the new columns.
        with self.views.write() as connection:
            self.views.remake(connection, self.projection.tables)
            checkpoints.forget(connection, self.name)

"""Timers: a view of due instants, and a scheduler that turns what is due into commands.

The view is disposable: a timer fired twice is the same command (its id derives from the timer), and
``decide`` may find it pointless. The scheduler fires only while its view has caught up with the
head, so that it never fires what an event has already cleared.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Column, DateTime, MetaData, Row, String, Table, delete, func, select

from shared import logging
from shared.application import Order
from shared.consumers.policies import NotYetError
from shared.consumers.projections import Projection, ProjectionConsumer
from shared.consumers.rows import Key, Rows
from shared.errors import Unavailable
from shared.happened import Happened
from shared.runtime import Runtime
from shared.spec import SetTimer, Timers
from shared.stores import Store

_log = logging.logger("timers")
_AT_ONCE = 200
_PAUSE = timedelta(minutes=1)  # Until a timer whose command failed is tried again: machine time.
_NAMESPACE = uuid.UUID("0d4a3f5e-93a5-5c36-8d0e-30f1a4a5b1f0")


def timer_projection(service: str, timers: Timers) -> tuple[Projection, Table]:
    """The view of one service's due instants."""
    tables = MetaData()
    table = Table(
        f"timer_{service}",
        tables,
        Column("name", String, primary_key=True),
        Column("key", String, primary_key=True),
        Column("due_at", DateTime(timezone=True), nullable=False, index=True),
        Column("correlation_id", String, nullable=False),
    )

    def fold(event: Happened, rows: Rows) -> None:
        for change in timers.of(event):
            if isinstance(change, SetTimer):
                rows.put(table, _row(change, event))
            else:
                rows.drop(table, change.name, change.key)

    def touches(_message: Any) -> Iterable[tuple[Table, Key]]:
        return ()  # Rows are put and dropped, never read.

    return Projection(f"timers:{service}", 1, tables, timers.events, fold, touches), table


def _row(change: SetTimer, event: Happened) -> dict[str, Any]:
    return {
        "name": change.name,
        "key": change.key,
        "due_at": change.due,
        "correlation_id": event.meta.correlation_id,
    }


class Due(NamedTuple):
    """Something that is due: when (business time), what, and for whom."""

    at: datetime
    name: str
    key: str


class Scheduler:
    """Fires what is due, in the order of the due instants, at most 200 together."""

    def __init__(
        self, service: str, timers: Timers, table: Table, view: ProjectionConsumer, runtime: Runtime
    ) -> None:
        self.name = f"scheduler:{service}"
        self._service = service
        self._timers = timers
        self._table = table
        self._view = view
        self._runtime = runtime
        self._views: Store = runtime.views
        self._later: dict[Row[Any], datetime] = {}
        self._first = select(func.min(table.c.due_at).label("first"))
        self._next: datetime | None = None
        self._seen = -1

    @property
    def position(self) -> int:
        """As far as its view."""
        return self._view.position

    @property
    def failure(self) -> str | None:
        """It stands still when its view does."""
        return self._view.failure

    def step(self) -> bool:
        """Fires the next timers that are due. Says whether any was."""
        now = self._runtime.clock.now()
        if self._view.failure or self._nothing_due(now):
            return False
        if self._view.position < self._runtime.application.log.head():
            return False
        due = self._due(now)
        if not due:
            return False
        try:
            fired = self._fire(due)
        except NotYetError:
            return False
        self._forget(fired)
        self._seen = -1
        return bool(fired)

    def next_due(self, after: datetime | None = None) -> datetime | None:
        """When something is due next (after an instant): business time."""
        query = self._first if after is None else self._first.where(self._table.c.due_at > after)
        ((found,),) = self._views.ask(query)
        return found.replace(tzinfo=UTC) if found else None

    def overdue(self) -> bool:
        """Whether something is due now and has not been tried in vain."""
        return bool(self._due(self._runtime.clock.now()))

    def waiting(
        self, limit: int, after: datetime | None = None, until: datetime | None = None
    ) -> list[Due]:
        """What is due after one instant and not later than another, in order."""
        query = select(self._table).order_by(self._table.c.due_at, self._table.c.key).limit(limit)
        if after is not None:
            query = query.where(self._table.c.due_at > after)
        if until is not None:
            query = query.where(self._table.c.due_at <= until)
        with self._views.read() as connection:
            found = list(connection.execute(query))
        return [Due(row.due_at.replace(tzinfo=UTC), row.name, row.key) for row in found]

    def _nothing_due(self, now: datetime) -> bool:
        # Looked up once per change of the view, and not in every round of the engine.
        changes = self._view.rows_written + self._view.loaded
        if changes != self._seen:
            self._next, self._seen = self.next_due(), changes
        return self._next is None or now < self._next

    def _fire(self, due: list[Row[Any]]) -> list[Row[Any]]:
        try:
            self._runtime.run_many(self._service, [self._order(row) for row in due])
        except (Unavailable, NotYetError):
            raise
        except Exception:  # noqa: BLE001  # One of them is at fault: the others are fired all the same.
            return [row for row in due if self._fired(row)]
        return due

    def _fired(self, row: Row[Any]) -> bool:
        try:
            self._runtime.run_many(self._service, [self._order(row)])
        except (Unavailable, NotYetError):
            raise
        except Exception:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            _log.exception("timer_failed", scheduler=self.name, timer=row.name, key=row.key)
            self._later[row] = self._runtime.machine.now() + _PAUSE
            return False
        self._later.pop(row, None)
        return True

    def _due(self, now: datetime) -> list[Row[Any]]:
        machine = self._runtime.machine.now()
        found = self._overdue(now, _AT_ONCE + len(self._later))
        return [row for row in found if not self._waits(row, machine)][:_AT_ONCE]

    def _waits(self, row: Row[Any], machine: datetime) -> bool:
        # A later instant than that is of a clock that was put right meanwhile.
        return machine < self._later.get(row, machine) <= machine + _PAUSE

    def _overdue(self, now: datetime, limit: int) -> list[Row[Any]]:
        query = (
            select(self._table)
            .where(self._table.c.due_at <= now)
            .order_by(self._table.c.due_at, self._table.c.name, self._table.c.key)
            .limit(limit)
        )
        return list(self._views.ask(query))

    def _order(self, row: Row[Any]) -> Order:
        due = row.due_at.replace(tzinfo=UTC)
        timer = uuid.uuid5(_NAMESPACE, f"{row.name}:{row.key}:{due.isoformat()}")
        return Order(
            command=self._timers.fire(row.name, row.key, due),
            command_id=timer,
            now=self._runtime.clock.now(),
            actor=f"timer:{self._service}",
            correlation_id=row.correlation_id,
        )

    def _forget(self, fired: list[Row[Any]]) -> None:
        table = self._table
        with self._views.write() as connection:
            for row in fired:
                where = (table.c.name == row.name) & (table.c.key == row.key)
                same = where & (table.c.due_at == row.due_at)
                connection.execute(delete(table).where(same))

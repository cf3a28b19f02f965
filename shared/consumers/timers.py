"""Timers: a view of due instants, and a scheduler that turns what is due into commands.

The view is disposable: a timer fired twice is the same command (its id derives from the timer), and
``decide`` may find it pointless. The scheduler fires only while its view has caught up with the
head, so that it never fires what an event has already cleared.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, MetaData, Row, String, Table, delete, func, select

from shared.application import Order
from shared.consumers.projections import Projection, ProjectionConsumer
from shared.consumers.rows import Key, Rows
from shared.happened import Happened
from shared.runtime import Runtime
from shared.spec import SetTimer, Timers
from shared.stores import Store

_AT_ONCE = 200
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
        if self._view.failure or self._view.position < self._runtime.application.log.head():
            return False
        due = self._due(self._runtime.clock.now())
        if not due:
            return False
        self._runtime.run_many(self._service, [self._order(row) for row in due])
        self._forget(due)
        return True

    def next_due(self) -> datetime | None:
        """When something is due next: business time."""
        with self._views.read() as connection:
            found = connection.execute(select(func.min(self._table.c.due_at))).scalar()
        return found.replace(tzinfo=UTC) if found else None

    def _due(self, now: datetime) -> list[Row[Any]]:
        query = (
            select(self._table)
            .where(self._table.c.due_at <= now)
            .order_by(self._table.c.due_at, self._table.c.name, self._table.c.key)
            .limit(_AT_ONCE)
        )
        with self._views.read() as connection:
            return list(connection.execute(query))

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

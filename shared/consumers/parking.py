"""Events that a consumer could not handle, and every later one of the same stream, in order.

A failing event is tried again after 1 s, 5 s, 30 s, 2 min, 10 min; then it stays parked until an
operator retries or drops it. Meanwhile later events of its stream wait behind it; all other streams
go on. Rows name positions, never contents: nothing personal leaves the log.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from shared.consumers.waiting import FARTHEST, is_over

PARKING = MetaData()
parked = Table(
    "parked",
    PARKING,
    Column("consumer", String, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("stream", String, nullable=False, index=True),
    Column("type", String, nullable=False),
    Column("status", String, nullable=False),  # retrying | parked | waiting
    Column("attempts", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("error", String, nullable=False),
)
BACK_OFF = tuple(timedelta(seconds=s) for s in (1, 5, 30, 120, 600))


class Waiting(NamedTuple):
    """One event that has to be handled later."""

    position: int
    stream: str
    attempts: int


def blocked_streams(connection: Connection, consumer: str) -> set[str]:
    """Streams with an event that is not handled yet."""
    query = select(parked.c.stream).where(parked.c.consumer == consumer).distinct()
    return set(connection.execute(query).scalars())


def park(connection: Connection, consumer: str, event: Any, now: datetime, error: str) -> None:
    """Puts an event aside. Without an error it only waits behind an earlier one."""
    row = {
        "consumer": consumer,
        "position": event.position,
        "stream": event.stored.stream,
        "type": event.type,
        "status": "retrying" if error else "waiting",
        "attempts": 1 if error else 0,
        "due_at": now + BACK_OFF[0] if error else now,
        "since": now,
        "error": error,
    }
    connection.execute(insert(parked).values(row))


def due(connection: Connection, consumer: str, now: datetime) -> list[Waiting]:
    """The first event of each blocked stream, if it is its turn."""
    firsts = (
        select(func.min(parked.c.position))
        .where(parked.c.consumer == consumer)
        .group_by(parked.c.stream)
    )
    query = (
        select(parked.c.position, parked.c.stream, parked.c.attempts)
        .where(_ready(consumer, now), parked.c.position.in_(firsts))
        .order_by(parked.c.position)
    )
    return [Waiting(*row) for row in connection.execute(query)]


def _ready(consumer: str, now: datetime) -> Any:
    over = is_over(parked.c.due_at, now, now + FARTHEST)
    return and_(parked.c.consumer == consumer, parked.c.status != "parked", over)


def handled(connection: Connection, consumer: str, position: int) -> None:
    """Takes an event off the list."""
    connection.execute(delete(parked).where(_row(consumer, position)))


def failed(connection: Connection, consumer: str, w: Waiting, now: datetime, error: str) -> None:
    """Writes down another failure: a later try, or parked for the operator."""
    more = w.attempts < len(BACK_OFF)
    values = {
        "status": "retrying" if more else "parked",
        "attempts": w.attempts + 1,
        "due_at": now + BACK_OFF[w.attempts] if more else now,
        "error": error,
    }
    connection.execute(update(parked).where(_row(consumer, w.position)).values(values))


def retry(connection: Connection, consumer: str, position: int, now: datetime) -> bool:
    """An operator's wish: try a parked event again at once. Says whether there was one."""
    values = {"status": "retrying", "attempts": 0, "due_at": now}
    done = connection.execute(update(parked).where(_row(consumer, position)).values(values))
    return done.rowcount == 1


def listed(connection: Connection) -> list[dict[str, Any]]:
    """Everything put aside, oldest first."""
    query = select(parked).order_by(parked.c.position, parked.c.consumer)
    return [dict(row) for row in connection.execute(query).mappings()]


def counted(connection: Connection) -> list[tuple[str, str, int]]:
    """How many events are put aside, by consumer and status."""
    query = select(parked.c.consumer, parked.c.status, func.count())
    found = connection.execute(query.group_by(parked.c.consumer, parked.c.status))
    return sorted((consumer, status, number) for consumer, status, number in found)


def _row(consumer: str, position: int) -> Any:
    return and_(parked.c.consumer == consumer, parked.c.position == position)

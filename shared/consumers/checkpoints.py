"""Where a consumer is: ``(position, event_id, log_id)``, fenced against a second runner.

On start the consumer reads the event at its position and refuses to go on if it is missing or
another one: the log went back (a restored backup), and reading on would skip what came instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert, select, update

from shared.eventlog import EventLog
from shared.refusals import refusal

CHECKPOINTS = MetaData()
_table = Table(
    "checkpoint",
    CHECKPOINTS,
    Column("consumer", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("event_id", LargeBinary, nullable=False),
    Column("log_id", String, nullable=False),
    Column("version", Integer, nullable=False),
)


class FencedError(Exception):
    """Another runner moved this consumer's checkpoint; take its position and go on from there."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place in one particular log. ``version`` is that of the consumer's code."""

    position: int
    event_id: bytes
    log_id: str
    version: int = 1


def start(version: int, log: EventLog) -> Checkpoint:
    """Before the first event."""
    return Checkpoint(0, b"", log.log_id, version)


def load(connection: Connection, consumer: str) -> Checkpoint | None:
    """The stored checkpoint, if there is one."""
    query = select(_table).where(_table.c.consumer == consumer)
    row = connection.execute(query).mappings().first()
    return None if row is None else Checkpoint(**{k: v for k, v in row.items() if k != "consumer"})


def verify(checkpoint: Checkpoint, log: EventLog) -> None:
    """Raises ``log_went_back`` unless the log still holds the event the checkpoint names."""
    if checkpoint.position == 0:
        return
    found = log.read_at(checkpoint.position)
    same = found is not None and found.event_id == checkpoint.event_id
    if not same or checkpoint.log_id != log.log_id:
        detail = f"The event at position {checkpoint.position} is missing or another one."
        raise refusal("log_went_back", detail)


def move(connection: Connection, consumer: str, old: Checkpoint, new: Checkpoint) -> None:
    """Stores the new place if the old one still holds; else raises ``FencedError``."""
    values = {
        "position": new.position,
        "event_id": new.event_id,
        "log_id": new.log_id,
        "version": new.version,
    }
    where = (_table.c.consumer == consumer) & (_table.c.position == old.position)
    if connection.execute(update(_table).where(where).values(values)).rowcount == 1:
        return
    if load(connection, consumer) is not None:
        raise FencedError(consumer)
    connection.execute(insert(_table).values(consumer=consumer, **values))


def forget(connection: Connection, consumer: str) -> None:
    """Lets the consumer start from the beginning."""
    connection.execute(sql_delete(_table).where(_table.c.consumer == consumer))

"""Where a consumer is: ``(position, event_id, log_id)``, fenced against a second runner.

On start the consumer reads the event at its position and refuses to go on if it is missing or
another one: the log went back (a restored backup), and reading on would skip what came instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Update,
    and_,
    bindparam,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy import delete as sql_delete

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


_loading = select(_table).where(_table.c.consumer == bindparam("name"))
_moving = (
    update(_table)
    .where(_table.c.consumer == bindparam("name"), _table.c.position == bindparam("before"))
    .values({c: bindparam(c) for c in ("position", "event_id", "log_id", "version")})
)


def load(connection: Connection, consumer: str) -> Checkpoint | None:
    """The stored checkpoint, if there is one."""
    row = connection.execute(_loading, {"name": consumer}).mappings().first()
    return None if row is None else _checkpoint(row)


def positions(connection: Connection) -> list[tuple[str, int]]:
    """Every consumer of a store with its stored place, by name. Where nothing had to be written it
    lags behind the consumer."""
    found = connection.execute(select(_table.c.consumer, _table.c.position))
    return sorted((row.consumer, row.position) for row in found)


def everyones(connection: Connection) -> list[tuple[str, Checkpoint]]:
    """Every consumer of a store with its checkpoint, by name."""
    rows = connection.execute(select(_table).order_by(_table.c.consumer)).mappings()
    return [(row["consumer"], _checkpoint(row)) for row in rows]


def _checkpoint(row: RowMapping) -> Checkpoint:
    return Checkpoint(**{k: v for k, v in row.items() if k != "consumer"})


def verify(checkpoint: Checkpoint, log: EventLog) -> None:
    """Raises ``log_went_back`` unless the log still holds the event the checkpoint names."""
    if checkpoint.position == 0:
        return
    found = log.read_at(checkpoint.position)
    same = found is not None and found.event_id == checkpoint.event_id
    if not same or checkpoint.log_id != log.log_id:
        detail = f"The event at position {checkpoint.position} is missing or another one."
        raise refusal("log_went_back", detail)


def move(connection: Connection, consumer: str, old: Checkpoint | None, new: Checkpoint) -> None:
    """Stores the new place if the old one still holds (``None``: there was none); else raises
    ``FencedError``."""
    values = asdict(new)
    if old is None:
        if load(connection, consumer) is not None:
            raise FencedError(consumer)
        connection.execute(insert(_table).values(consumer=consumer, **values))
        return
    moved = connection.execute(_moving, values | {"name": consumer, "before": old.position})
    if moved.rowcount != 1:
        raise FencedError(consumer)


def move_together(
    connection: Connection, moved: Sequence[tuple[str, Checkpoint | None, Checkpoint]]
) -> None:
    """``move`` for several consumers that go to the same place and stay of the same version.

    Raises ``FencedError`` if the old place of any of them does not hold; then none may be kept."""
    known = [(consumer, old) for consumer, old, _ in moved if old is not None]
    for consumer, old, new in moved:
        if old is None:
            move(connection, consumer, old, new)
    if known:
        _, _, new = moved[0]
        values = {"position": new.position, "event_id": new.event_id, "log_id": new.log_id}
        for n, (consumer, old) in enumerate(known):
            values |= {f"name_{n}": consumer, f"before_{n}": old.position}
        if connection.execute(_moving_together(len(known)), values).rowcount != len(known):
            raise FencedError(", ".join(consumer for consumer, _ in known))


@cache
def _moving_together(many: int) -> Update:
    theirs = [
        and_(
            _table.c.consumer == bindparam(f"name_{n}"),
            _table.c.position == bindparam(f"before_{n}"),
        )
        for n in range(many)
    ]
    columns = ("position", "event_id", "log_id")
    return update(_table).where(or_(*theirs)).values({c: bindparam(c) for c in columns})


def forget(connection: Connection, consumer: str) -> None:
    """Lets the consumer start from the beginning."""
    connection.execute(sql_delete(_table).where(_table.c.consumer == consumer))

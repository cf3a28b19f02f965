"""The rows of work that effects are: what is to be called, who is at it, what has come of it.

The functions that take a connection are parts of a transaction of its caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from shared.consumers.waiting import FARTHEST, is_over
from shared.runtime import Runtime
from shared.stores import Store

_CLAIM_SECONDS = 120

Work = dict[str, Any]

EFFECTS = MetaData()
effect = Table(
    "effect",
    EFFECTS,
    Column("id", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("name", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("key", String, nullable=False, index=True),
    Column("due_at", DateTime(timezone=True), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("maybe_sent", Boolean, nullable=False),
    Column("claimed_until", DateTime(timezone=True)),
    Column("provider_key", String, nullable=False),
    Column("error", String, nullable=False),
)


def add(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Work that nobody has begun."""
    connection.execute(_adding, rows)


def is_due(state: Store, service: str, now: datetime) -> bool:
    """Whether there is work of a service that nobody is at: machine time."""
    return bool(state.ask(_due, _asked(service, now)))


def claim(connection: Connection, service: str, now: datetime) -> Work | None:
    """The first work of a service that is due, if there is any: the caller's from now on, for two
    minutes. The attempt is counted; a row that was claimed and not given back belonged to a process
    that died in the call, so it may have been sent."""
    until = now + timedelta(seconds=_CLAIM_SECONDS)
    found = (
        connection.execute(_claiming, _asked(service, now) | {"until": until}).mappings().first()
    )
    return None if found is None else dict(found)


def _asked(service: str, now: datetime) -> dict[str, Any]:
    return {"of_service": service, "now": now, "far": now + FARTHEST}


def finish(connection: Connection, row: Work) -> None:
    """It is done: its outcome is in the log."""
    connection.execute(_finishing, {"row_id": row["id"]})


def give_back(connection: Connection, row: Work, **values: object) -> None:
    """It is to be claimed again, with these columns changed."""
    changed = update(effect).where(effect.c.id == row["id"])
    connection.execute(changed.values(claimed_until=None, **values))


def _due_statement() -> Select[Any]:
    now, far = (bindparam(name, type_=DateTime(timezone=True)) for name in ("now", "far"))
    of_service = effect.c.service == bindparam("of_service")
    ended = is_over(effect.c.claimed_until, now, far)
    busy = select(effect.c.key).where(of_service, ~ended)
    free = or_(effect.c.claimed_until.is_(None), ended)
    return (
        select(effect.c.id)
        .where(of_service, is_over(effect.c.due_at, now, far), free)
        .where(effect.c.key.not_in(busy))
        .order_by(effect.c.position)
        .limit(1)
    )


_adding = insert(effect)
_due = _due_statement()
_claiming = (
    update(effect)
    .where(effect.c.id == _due.scalar_subquery())
    .values(
        maybe_sent=or_(effect.c.maybe_sent, effect.c.claimed_until.is_not(None)),
        attempts=effect.c.attempts + 1,
        claimed_until=bindparam("until", type_=DateTime(timezone=True)),
    )
    .returning(*effect.c)
)
_finishing = delete(effect).where(effect.c.id == bindparam("row_id"))


def release_claims(runtime: Runtime, service: str) -> None:
    """After a start: what this service's dead process had claimed may be taken up at once.

    Only where one process runs a service's effects (embedded); others wait for the claim to end.
    """
    past = runtime.machine.now() - timedelta(seconds=1)
    runtime.state.create(EFFECTS)
    with runtime.state.write() as connection:
        where = (effect.c.service == service) & effect.c.claimed_until.is_not(None)
        connection.execute(update(effect).where(where).values(claimed_until=past))


def counted(connection: Connection) -> list[tuple[str, str, int]]:
    """How many calls are not done yet, by service and state: ``waiting``, ``calling``, or
    ``unknown`` where an earlier try may have arrived."""
    state = case(
        (effect.c.claimed_until.is_not(None), "calling"),
        (effect.c.maybe_sent, "unknown"),
        else_="waiting",
    )
    query = select(effect.c.service, state, func.count()).group_by(effect.c.service, state)
    found = connection.execute(query)
    return sorted((service, called, number) for service, called, number in found)


def work_is_waiting(state: Store, now: datetime) -> bool:
    """Whether a call is under way or could begin now (machine time). What failed and waits for its
    next try does not count."""
    free = effect.c.claimed_until.is_not(None) | (effect.c.due_at <= now)
    return bool(state.ask(select(effect.c.id).where(free).limit(1)))

"""Orders that wait for a person, and what staff did about them: the view and its questions.

It folds only events that staff or a timer causes, so an ordinary purchase costs it nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, MetaData, String, Table, select

from services.orders.messages import (
    OrderChargeCheckRequested,
    OrderGivenUp,
    OrderNeedsOperator,
    RefundRequested,
)
from services.orders.order_rows import order_json, time_json
from services.orders.paging import check_limit
from services.orders.projections import customer_order
from shared.consumers.projections import Projection
from shared.consumers.rows import Key, Rows
from shared.happened import Happened
from shared.refusals import refusal
from shared.stores import Store

_TABLES = MetaData()
case = Table(
    "operator_case",
    _TABLES,
    Column("order_id", String, primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("waits_for", String, nullable=False),
    Column("case_position", BigInteger, nullable=False, index=True),
)
step = Table(
    "operator_step",
    _TABLES,
    Column("position", BigInteger, primary_key=True),
    Column("order_id", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)
_KINDS = {
    OrderNeedsOperator: "called",
    OrderChargeCheckRequested: "checked",
    OrderGivenUp: "given_up",
    RefundRequested: "refunded",
}
_LONGEST_CURSOR = 18


def _fold(event: Happened, rows: Rows) -> None:
    message = event.message
    if isinstance(message, OrderNeedsOperator):
        row = {"order_id": message.order_id, "since": event.at, "waits_for": message.reason}
        rows.put(case, row | {"case_position": event.position})
    rows.put(step, _step(event))


def _step(event: Happened) -> dict[str, Any]:
    return {
        "position": event.position,
        "order_id": event.message.order_id,
        "kind": _KINDS[type(event.message)],
        "reason": str(event.message.reason),
        "actor": event.meta.actor,
        "at": event.at,
    }


def _touches(_message: Any) -> Iterable[tuple[Table, Key]]:
    return ()  # Rows are put, never read.


OPERATING = Projection("operating", 1, _TABLES, tuple(_KINDS), _fold, _touches)


def waiting(views: Store, limit: int, after: str | None) -> dict[str, Any]:
    """Orders that wait for a person, the longest waiting first. Raises ``invalid_cursor``,
    ``invalid_value``."""
    query = (
        select(customer_order, case.c.since, case.c.waits_for, case.c.case_position)
        .join(case, case.c.order_id == customer_order.c.order_id)
        .where(customer_order.c.status == "needs_operator")
        .where(case.c.case_position > _place(after))
        .order_by(case.c.case_position)
    )
    with views.read() as connection:
        found = [
            dict(r) for r in connection.execute(query.limit(check_limit(limit) + 1)).mappings()
        ]
    more = len(found) > limit
    return {
        "data": [_case(row) for row in found[:limit]],
        "next": str(found[limit - 1]["case_position"]) if more else None,
    }


def one(views: Store, order_id: str) -> dict[str, Any]:
    """An order with what staff did about it. Raises ``order_unknown``."""
    query = (
        select(customer_order, case.c.since, case.c.waits_for)
        .outerjoin(case, case.c.order_id == customer_order.c.order_id)
        .where(customer_order.c.order_id == order_id)
    )
    steps = select(step).where(step.c.order_id == order_id).order_by(step.c.position)
    with views.read() as connection:
        found = connection.execute(query).mappings().first()
        if found is None:
            raise refusal("order_unknown")
        done = [dict(row) for row in connection.execute(steps).mappings()]
    names = ("kind", "reason", "actor")
    shown = [{n: row[n] for n in names} | {"at": time_json(row["at"])} for row in done]
    return _case(dict(found)) | {"steps": shown}


def _case(row: dict[str, Any]) -> dict[str, Any]:
    return order_json(row) | {"since": time_json(row["since"]), "waits_for": row["waits_for"]}


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST_CURSOR):
        raise refusal("invalid_cursor", param="cursor")
    return int(cursor)

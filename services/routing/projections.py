"""The view of routes: the row, how events fill it, how it is asked and shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    or_,
    select,
)

from services.routing.messages import LabelsChanged, RouteConfigured
from shared.consumers.projections import Projection
from shared.consumers.rows import Key, Rows
from shared.errors import Refusal
from shared.happened import Happened
from shared.phone import parse_e164
from shared.refusals import refusal
from shared.stores import Store

Row = dict[str, Any]
TABLES = MetaData()
route = Table(
    "route",
    TABLES,
    Column("num_id", String, primary_key=True),
    Column("number", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("max_channels", Integer, nullable=False),
    Column("sms", Boolean, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("labels_version", Integer, nullable=False),
    Column("begun_at", BigInteger, nullable=False),  # The log position of its first event.
    Column("position", BigInteger, nullable=False),
    Index("route_by_number", "number", "begun_at"),
)


def fold(event: Happened, rows: Rows) -> None:
    """One event into the rows."""
    match event.message:
        case RouteConfigured() as e:
            rows.put(route, _configured(e, event.position))
        case LabelsChanged() as e:
            row = rows.change(route, e.num_id)
            row.update(labels=list(e.labels), labels_version=event.stored.version)
            row["position"] = event.position


def _configured(e: RouteConfigured, position: int) -> Row:
    return {
        "num_id": e.num_id,
        "number": e.number,
        "account_id": e.account_id,
        "max_channels": e.max_channels,
        "sms": e.sms,
        "labels": [],
        "labels_version": 1,
        "begun_at": position,
        "position": position,
    }


def touches(message: Any) -> Iterable[tuple[Table, Key]]:
    """The rows a message asks for, so that a batch loads them together."""
    yield route, (message.num_id,)


ROUTES = Projection("routes", 1, TABLES, (RouteConfigured, LabelsChanged), fold, touches)


def find_route(views: Store, account_id: str | None, number_or_id: str) -> Row:
    """The account's route: by the tenure's id, or the newest of a number. ``None`` asks for all
    accounts (staff). Raises ``number_unknown``."""
    query, wanted = _named(number_or_id)
    for row in views.ask(query, {"wanted": wanted, "of": account_id}):
        return row._asdict()
    raise refusal("number_unknown")


def _named(number_or_id: str) -> tuple[Select[Any], str]:
    if number_or_id.startswith("num_"):
        return _by_id, number_or_id
    try:
        return _newest_of_number, parse_e164(number_or_id)
    except Refusal:
        raise refusal("number_unknown") from None


def _of_theirs(column: Column[str]) -> Select[Any]:
    of = bindparam("of", type_=String)
    allowed = or_(of.is_(None), route.c.account_id == of)
    found = select(route).where(column == bindparam("wanted"), allowed)
    return found.order_by(route.c.begun_at.desc()).limit(1)


# Made once, so that a store can prepare them.
_by_id = _of_theirs(route.c.num_id)
_newest_of_number = _of_theirs(route.c.number)


def route_json(row: Row) -> Row:
    """The route as RPC shows it."""
    return {
        "num_id": row["num_id"],
        "number": row["number"],
        "account_id": row["account_id"],
        "max_channels": row["max_channels"],
        "sms": row["sms"],
        "labels": row["labels"],
        "labels_version": row["labels_version"],
        "position": row["position"],
    }

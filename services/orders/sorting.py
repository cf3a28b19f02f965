"""Lists of numbers in any order, page by page: a cursor is the sort key of a row (keyset paging).

Every order ends with the log position of the purchase, which no two rows share, so rows of equal
value keep their places and no page repeats or leaves out one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, tuple_

from services.orders.paging import check_limit
from services.orders.projections import tenure
from shared.refusals import refusal

Row = dict[str, Any]
NEWEST = "-added"
_CHANNELS = 2  # What a number has until routing has set it up.
_LONGEST_CURSOR = 1000
_c = tenure.c
_KEYS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "added": (),
    "number": (_c.digits,),
    "type": (_c.type,),
    "city": (_c.city_key,),
    "sms": (_c.sms,),
    "channels": (func.coalesce(_c.max_channels, _CHANNELS),),
    "monthly_cost": (_c.currency, _c.monthly_fee),
    "paid_until": (func.coalesce(_c.paid_until, ""),),
    "origin": (_c.origin,),
    "status": (_c.status,),
}


@dataclass(frozen=True)
class Sorting:
    """An order of rows: ``city``, or ``-city`` for the other way round."""

    name: str
    keys: tuple[ColumnElement[Any], ...]
    descending: bool


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind a row, or before one. At most one of them."""

    after: str | None = None
    before: str | None = None


def sorting(wanted: str | None) -> Sorting:
    """The order of that name, newest first if none. Raises ``invalid_value``."""
    name = wanted or NEWEST
    keys = _KEYS.get(name.removeprefix("-"))
    if keys is None:
        raise refusal("invalid_value", f"Numbers cannot be sorted by {name!r}.", param="sort")
    return Sorting(name, (*keys, _c.begun_at), name.startswith("-"))


def page_of(
    connection: Connection, query: Select[Any], order: Sorting, limit: int, place: Place
) -> Row:
    """``{rows, next, previous}``: a page and the cursors of the pages around it, if there are any.
    Raises ``invalid_cursor``, ``invalid_value``."""
    backwards = place.before is not None
    found = _read(connection, query, order, check_limit(limit) + 1, place)
    rows, more = found[:limit], len(found) > limit
    if backwards:
        rows.reverse()
    return {
        "rows": rows,
        "next": _cursor(order, rows[-1:]) if more or backwards else None,
        "previous": _cursor(order, rows[:1]) if (more if backwards else place.after) else None,
    }


def _read(
    connection: Connection, query: Select[Any], order: Sorting, most: int, place: Place
) -> list[Row]:
    backwards = place.before is not None
    cursor = place.before or place.after
    down = order.descending != backwards
    if cursor is not None:
        query = query.where(_beyond(order.keys, _values(cursor, order), down=down))
    query = query.order_by(*(key.desc() if down else key.asc() for key in order.keys))
    named = [key.label(f"key_{n}") for n, key in enumerate(order.keys)]
    found = connection.execute(query.add_columns(*named).limit(most)).mappings()
    return [dict(row) for row in found]


def _beyond(
    keys: Sequence[ColumnElement[Any]], values: Sequence[Any], *, down: bool
) -> ColumnElement[bool]:
    # One key as a plain comparison, which every index of it serves.
    left: Any = tuple_(*keys) if len(keys) > 1 else keys[0]
    right: Any = tuple(values) if len(keys) > 1 else values[0]
    beyond: ColumnElement[bool] = left < right if down else left > right
    return beyond


def _cursor(order: Sorting, rows: Sequence[Row]) -> str | None:
    if not rows:
        return None
    key = [order.name, *(rows[0][f"key_{n}"] for n in range(len(order.keys)))]
    text = json.dumps(key, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _values(cursor: str, order: Sorting) -> list[Any]:
    found = _decoded(cursor)
    whole = isinstance(found, list) and len(found) == len(order.keys) + 1
    if not whole or found[0] != order.name or not all(map(_fits, order.keys, found[1:])):
        raise refusal("invalid_cursor", param="cursor")
    values: list[Any] = found[1:]
    return values


def _decoded(cursor: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor[:_LONGEST_CURSOR] + "=="))
    except (ValueError, RecursionError):
        return None


def _fits(key: ColumnElement[Any], value: Any) -> bool:
    if type(value) is not key.type.python_type:
        return False
    if isinstance(value, str):  # Half of a surrogate pair is text for Python, not for a database.
        return value.encode(errors="replace").decode() == value
    return 0 <= int(value) < 2**63

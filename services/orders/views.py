"""Asking the views of orders and numbers. ``account_id=None`` asks for all accounts (staff)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, String, bindparam, false, or_, select

from services.orders.number_rows import folded, number_json
from services.orders.order_rows import order_json
from services.orders.paging import newest_first
from services.orders.projections import customer_order, tenure
from shared.errors import Refusal
from shared.phone import parse_e164
from shared.stores import Store

Row = dict[str, Any]
_PRINTED = re.compile(r"[\d\s()+./\-\u2010-\u2015\u00a0]*\d[\d\s()+./\-\u2010-\u2015\u00a0]*")


def find_order(views: Store, account_id: str | None, order_id: str) -> Row | None:
    """The row of an order, if it is this account's."""
    with views.read() as connection:
        row = (
            connection.execute(_one_order, {"wanted": order_id, "of": account_id})
            .mappings()
            .first()
        )
    return None if row is None else dict(row)


def _order_statement() -> Select[Any]:
    of = bindparam("of", type_=String)
    allowed = or_(of.is_(None), customer_order.c.account_id == of)
    return select(customer_order).where(customer_order.c.order_id == bindparam("wanted"), allowed)


_one_order = _order_statement()  # Asked several times while an order is waited for.


def list_orders(
    views: Store, account_id: str | None, status: str | None, limit: int, after: str | None
) -> Row:
    """A page of orders, newest first."""
    query = _of_account(select(customer_order), customer_order.c.account_id, account_id)
    if status is not None:
        query = query.where(customer_order.c.status == status)
    with views.read() as connection:
        rows, cursor = newest_first(connection, query, customer_order.c.placed_at, limit, after)
    return {"data": [order_json(row) for row in rows], "next": cursor}


def find_number(views: Store, account_id: str | None, number_or_id: str) -> Row | None:
    """The account's tenure: by id, or its newest of a number."""
    query = select(tenure).where(_named(number_or_id)).order_by(tenure.c.begun_at.desc())
    with views.read() as connection:
        return _first(connection, _of_account(query, tenure.c.account_id, account_id))


def _named(number_or_id: str) -> Any:
    if number_or_id.startswith("num_"):
        return tenure.c.num_id == number_or_id
    try:
        return tenure.c.number == parse_e164(number_or_id)
    except Refusal:
        return false()


def list_numbers(
    views: Store, account_id: str | None, wanted: Any, limit: int, after: str | None
) -> Row:
    """A page of numbers that meet a condition (``numbers_where``), newest first."""
    query = _of_account(select(tenure), tenure.c.account_id, account_id).where(*wanted)
    with views.read() as connection:
        rows, cursor = newest_first(connection, query, tenure.c.begun_at, limit, after)
    return {"data": [number_json(row) for row in rows], "next": cursor}


def numbers_where(equal: dict[str, Any], label: str | None, q: str | None) -> list[Any]:
    """The condition of a list of numbers. ``equal``: columns and values, ``None`` for any."""
    parts = [tenure.c[name] == value for name, value in equal.items() if value is not None]
    if label is not None:
        parts.append(tenure.c.label_keys.contains(f"\n{folded(label)}\n", autoescape=True))
    if q is not None and q.strip():
        parts.append(_matches(q.strip()))
    return parts


def _matches(q: str) -> Any:
    text = tenure.c.searched.contains(folded(q), autoescape=True)
    if not _PRINTED.fullmatch(q):
        return text
    return or_(text, *_has_digits(re.sub(r"\D", "", q.replace("(0)", ""))))


def _has_digits(digits: str) -> Iterator[Any]:
    yield tenure.c.digits.contains(digits)
    # As printed: 00 before the calling code, or one trunk zero before the national number. (Italian
    # numbers keep theirs: the first condition finds them.)
    if digits.startswith("00") and digits[2:]:
        yield tenure.c.digits.startswith(digits[2:])
    elif digits.startswith("0") and digits[1:]:
        yield tenure.c.national.startswith(digits[1:])


def _of_account(query: Select[Any], column: Any, account_id: str | None) -> Select[Any]:
    return query if account_id is None else query.where(column == account_id)


def _first(connection: Connection, query: Select[Any]) -> Row | None:
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else dict(row)

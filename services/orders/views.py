"""Asking the views of orders and numbers. ``account_id=None`` asks for all accounts (staff)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
)

from services.orders.number_rows import folded, number_json
from services.orders.number_search import matches
from services.orders.order_rows import order_json
from services.orders.paging import newest_first
from services.orders.projections import customer_order, number_account, order_account, tenure
from services.orders.sorting import Place, Sorting, page_of
from shared.errors import Refusal
from shared.phone import parse_e164
from shared.stores import Store

Row = dict[str, Any]
_AS_STORED = re.compile(r"\+[1-9][0-9]{6,14}")


def find_order(views: Store, account_id: str | None, order_id: str) -> Row | None:
    """The row of an order, if it is this account's."""
    return _only(views, _one_order, order_id, account_id)


def _only(views: Store, query: Select[Any], wanted: str, account_id: str | None) -> Row | None:
    for row in views.ask(query, {"wanted": wanted, "of": account_id}):
        return dict(zip(_names(query), row, strict=True))
    return None


@cache
def _names(query: Select[Any]) -> tuple[str, ...]:
    # Of the few queries below. A row that is asked for its names takes longer than the rest.
    return tuple(query.selected_columns.keys())


def _of_theirs(table: Table, column: Column[str]) -> Select[Any]:
    # Made once: a statement of forty columns takes longer to build than to be answered.
    of = bindparam("of", type_=String)
    allowed = or_(of.is_(None), table.c.account_id == of)
    return select(table).where(column == bindparam("wanted"), allowed)


_one_order = _of_theirs(customer_order, customer_order.c.order_id)
_newest = tenure.c.begun_at.desc()
_number_by_id = _of_theirs(tenure, tenure.c.num_id).order_by(_newest).limit(1)
_newest_of_number = _of_theirs(tenure, tenure.c.number).order_by(_newest).limit(1)


def list_orders(
    views: Store,
    account_id: str | None,
    statuses: Sequence[str] | None,
    limit: int,
    after: str | None,
) -> Row:
    """A page of orders of these statuses (``None`` for any), newest first."""
    query = _of_account(select(customer_order), customer_order.c.account_id, account_id)
    if statuses is not None:
        query = query.where(customer_order.c.status.in_(statuses))
    with views.read() as connection:
        rows, cursor = newest_first(connection, query, customer_order.c.placed_at, limit, after)
    return {"data": [order_json(row) for row in rows], "next": cursor}


def find_number(views: Store, account_id: str | None, number_or_id: str) -> Row | None:
    """The account's tenure: by id, or its newest of a number."""
    if number_or_id.startswith("num_"):
        return _only(views, _number_by_id, number_or_id, account_id)
    found = None
    if _AS_STORED.fullmatch(
        number_or_id
    ):  # Else it has to be understood first, which takes longer.
        found = _only(views, _newest_of_number, number_or_id, account_id)
    return found or _found_otherwise(views, account_id, number_or_id)


def _found_otherwise(views: Store, account_id: str | None, written: str) -> Row | None:
    try:
        number = parse_e164(written)
    except Refusal:
        return None
    return None if number == written else _only(views, _newest_of_number, number, account_id)


def list_numbers(
    views: Store,
    account_id: str | None,
    wanted: Sequence[Any],
    order: Sorting,
    limit: int,
    place: Place,
) -> Row:
    """A page of numbers that meet a condition (``numbers_where``): ``{data, next, previous}``."""
    query = _of_account(select(tenure), tenure.c.account_id, account_id).where(*wanted)
    with views.read() as connection:
        found = page_of(connection, query, order, limit, place)
    return {
        "data": [number_json(row) for row in found["rows"]],
        "next": found["next"],
        "previous": found["previous"],
    }


def numbers_where(
    *,
    status: str | None = None,
    statuses: Sequence[str] | None = None,
    country: str | None = None,
    type: str | None = None,  # noqa: A002  # The field's name in the API.
    sms: bool | None = None,
    label: str | None = None,
    q: str | None = None,
) -> list[Any]:
    """The condition of a list of numbers; ``None`` is any."""
    region = country.upper() if country else None
    equal = {"status": status, "country": region, "type": type, "sms": sms}
    parts = [tenure.c[name] == value for name, value in equal.items() if value is not None]
    if statuses is not None:
        parts.append(tenure.c.status.in_(statuses))
    if label is not None:
        parts.append(tenure.c.label_keys.contains(f"\n{folded(label)}\n", autoescape=True))
    if q is not None and q.strip():
        parts.append(matches(q.strip()))
    return parts


def count_numbers(views: Store, account_id: str | None, wanted: Sequence[Any]) -> Row:
    """How many numbers meet a condition, and orders there are, by status; the countries of all
    numbers; and ``change``, as ``last_change`` says it."""
    with views.read() as connection:
        groups = connection.execute(_groups(account_id, wanted)).all()
        orders = connection.execute(_orders_by_status(account_id)).all()
        change = _last_change(connection, account_id)
    numbers: dict[str, int] = {}
    for status, _, count in groups:
        numbers[status] = numbers.get(status, 0) + count
    return {
        "numbers": {status: count for status, count in numbers.items() if count},
        "orders": {status: count for status, count in orders},  # noqa: C416  # Rows are no pairs.
        "countries": sorted({country for _, country, _ in groups}),
        "change": change,
    }


def last_change(views: Store, account_id: str | None) -> str:
    """Changes whenever something about the account's numbers or orders did. The two views are
    filled independently, so it names the log position of each one's last change."""
    with views.read() as connection:
        return _last_change(connection, account_id)


def _groups(account_id: str | None, wanted: Sequence[Any]) -> Select[Any]:
    # Without a condition an index alone answers this.
    count = func.sum(case((and_(*wanted), 1), else_=0)) if wanted else func.count()
    query = select(tenure.c.status, tenure.c.country, count)
    query = query.group_by(tenure.c.status, tenure.c.country)
    return _of_account(query, tenure.c.account_id, account_id)


def _orders_by_status(account_id: str | None) -> Select[Any]:
    query = select(customer_order.c.status, func.count()).group_by(customer_order.c.status)
    return _of_account(query, customer_order.c.account_id, account_id)


def _last_change(connection: Connection, account_id: str | None) -> str:
    places = []
    for table in (number_account, order_account):
        query = select(func.max(table.c.position))
        query = _of_account(query, table.c.account_id, account_id)
        places.append(connection.execute(query).scalar() or 0)
    return ".".join(map(str, places))


def _of_account(query: Select[Any], column: Any, account_id: str | None) -> Select[Any]:
    return query if account_id is None else query.where(column == account_id)

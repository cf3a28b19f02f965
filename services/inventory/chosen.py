"""What has become of things somebody chose a while ago, before they are held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from services.inventory.candidates import offer_of
from services.inventory.messages import Item
from services.inventory.projections import taken
from services.inventory.search import offer_row
from shared.errors import Refusal
from shared.stores import Store


def look_up(views: Store, account_id: str, items: Sequence[Item]) -> list[dict[str, Any]]:
    """For each item its offer (``None``: not for sale), how many of it are ``left``, and for a
    number that this account holds already, by which hold."""
    with views.read() as connection:
        return [_looked_up(connection, account_id, item) for item in items]


def _looked_up(connection: Connection, account_id: str, item: Item) -> dict[str, Any]:
    try:
        sold = offer_of(connection, item)
    except Refusal:
        sold = None
    if sold is None:
        return {"offer": None, "left": 0, "hold_id": None}
    shown = offer_row(sold, sold.available)
    if item.number is None:
        return {"offer": shown, "left": sold.available, "hold_id": None}
    return {"offer": shown, **_of_number(_taken(connection, item.number), account_id)}


def _taken(connection: Connection, number: str) -> Row[Any] | None:
    return connection.execute(select(taken).where(taken.c.number == number)).first()


def _of_number(found: Row[Any] | None, account_id: str) -> dict[str, Any]:
    if found is None:
        return {"left": 1, "hold_id": None}
    mine = found.status == "held" and found.account_id == account_id
    return {"left": 0, "hold_id": found.hold_id if mine else None}

"""The view of numbers that are ours now: nobody can port them in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, String, Table, select

from services.orders.messages import NumberPurchased
from shared.consumers.projections import Projection
from shared.consumers.rows import Rows
from shared.happened import Happened
from shared.stores import Store

_AT_ONCE = 500
TABLES = MetaData()
our_number = Table(
    "our_number",
    TABLES,
    Column("number", String, primary_key=True),
    Column("num_id", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("position", BigInteger, nullable=False),
)


def fold(event: Happened, rows: Rows) -> None:
    """One event into the rows."""
    match event.message:
        case NumberPurchased() as e:
            rows.put(our_number, _row(e, event.position))


def _row(e: NumberPurchased, position: int) -> dict[str, Any]:
    return {
        "number": e.number,
        "num_id": e.num_id,
        "account_id": e.account_id,
        "position": position,
    }


OUR_NUMBERS = Projection("our_numbers", 1, TABLES, (NumberPurchased,), fold)


def ours_among(views: Store, numbers: Iterable[str]) -> set[str]:
    """Those of the numbers that are current numbers of ours, whoever's."""
    found: set[str] = set()
    with views.read() as connection:
        for some in _chunks(numbers):
            query = select(our_number.c.number).where(our_number.c.number.in_(some))
            found.update(connection.execute(query).scalars())
    return found


def _chunks(numbers: Iterable[str]) -> Iterator[Sequence[str]]:
    rest = iter(numbers)
    while some := list(islice(rest, _AT_ONCE)):
        yield some

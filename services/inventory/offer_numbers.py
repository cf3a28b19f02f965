"""The numbers of one offer: those that are available, in order, alone or in runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select

from services.inventory.digits import containing
from services.inventory.matching import check_contains
from services.inventory.paging import check_limit, number_after
from services.inventory.projections import ON_SALE, block, offer, taken
from shared import phone
from shared.refusals import refusal
from shared.stores import Store

LONGEST_RUN = 10


def numbers_of(
    views: Store,
    offer_id: str,
    contains: str | None,
    consecutive: int | None,
    limit: int,
    after: str | None,
) -> dict[str, Any]:
    """A page of an offer's numbers that are available, in order. ``consecutive``: rows are runs of
    so many numbers in a row (1 to 10), named by their first; no number is in two of them. Raises
    ``offer_unknown``, ``invalid_value``, ``invalid_cursor``."""
    digits, start, length = check_contains(contains, 1), number_after(after), consecutive or 1
    _check_length(length)
    check_limit(limit)
    with views.read() as connection:
        if connection.execute(select(offer).where(offer.c.offer_id == offer_id)).first() is None:
            raise refusal("offer_unknown")
        numbers = _available(connection, offer_id, digits, start)
        found = list(islice(_runs(numbers, length), limit + 1))
    more = len(found) > limit
    return {
        "data": [_row(run) for run in found[:limit]],
        "next": str(found[limit - 1][-1]) if more else None,
    }


def _check_length(length: int) -> None:
    if not 1 <= length <= LONGEST_RUN:
        detail = f"consecutive is from 1 to {LONGEST_RUN}."
        raise refusal("invalid_value", detail, param="consecutive")


def _available(
    connection: Connection, offer_id: str, digits: str | None, start: int
) -> Iterator[int]:
    query = select(block).where(block.c.offer_id == offer_id, ON_SALE, block.c.last > start)
    for row in connection.execute(query.order_by(block.c.first)).all():
        first = max(row.first, start + 1)
        numbers: Iterable[int] = range(first, row.last + 1)
        if digits is not None:
            numbers = containing(first, row.last, row.fixed, digits)
        gone = _taken_in(connection, row.block_id)
        yield from (n for n in numbers if n not in gone)


def _taken_in(connection: Connection, block_id: str) -> set[int]:
    query = select(taken.c.number).where(taken.c.block_id == block_id)
    return {int(number) for number in connection.execute(query).scalars()}


def _runs(numbers: Iterator[int], length: int) -> Iterator[list[int]]:
    run: list[int] = []
    for number in numbers:
        run = [*run, number] if run and number == run[-1] + 1 else [number]
        if len(run) == length:
            yield run
            run = []


def _row(run: list[int]) -> dict[str, Any]:
    first = f"+{run[0]}"
    row = {"number": first, "display": phone.display(first)}
    return row if len(run) == 1 else row | {"numbers": [f"+{n}" for n in run]}

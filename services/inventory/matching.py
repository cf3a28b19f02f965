"""Which blocks and how many available numbers contain some digits.

Numbers have no rows, so it is worked out by arithmetic (``digits.py``) for the blocks in question
only, minus the numbers that are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, or_, select

from services.inventory.digits import containing
from services.inventory.projections import ON_SALE, block, taken
from shared.refusals import refusal

FEWEST_DIGITS = 3  # In a search; one offer's numbers can be narrowed down by fewer.
_MOST_DIGITS = 10
_ASK_AT_ONCE = 500


def check_contains(digits: str | None, fewest: int = FEWEST_DIGITS) -> str | None:
    """So many to 10 digits, or nothing. Raises ``invalid_value``."""
    if not digits:
        return None
    if not digits.isascii() or not digits.isdigit():
        raise refusal("invalid_value", "contains takes digits only.", param="contains")
    if not fewest <= len(digits) <= _MOST_DIGITS:
        detail = f"contains takes {fewest} to {_MOST_DIGITS} digits."
        raise refusal("invalid_value", detail, param="contains")
    return digits


def offers_with(digits: str) -> Select[Any]:
    """The ids of offers that may have a number with these digits."""
    return select(block.c.offer_id).where(ON_SALE, _may_contain(digits))


def _may_contain(digits: str) -> Any:
    # The wanted digits lie in the fixed ones, among the free ones, or over the border of the two.
    borders = [
        and_(block.c.free_digits >= len(digits) - n, block.c.fixed.endswith(digits[:n]))
        for n in range(1, len(digits))
    ]
    inside = block.c.free_digits >= len(digits)
    return or_(block.c.fixed.contains(digits), inside, *borders)


def counts(connection: Connection, offer_ids: Collection[str], digits: str) -> dict[str, int]:
    """How many available numbers of each offer contain the digits; those without are left out."""
    query = select(block).where(block.c.offer_id.in_(offer_ids), ON_SALE, _may_contain(digits))
    found: dict[str, int] = {}
    single: dict[int, str] = {}
    for row in connection.execute(query):
        numbers = containing(row.first, row.last, row.fixed, digits)
        if len(numbers) == row.size:
            found[row.offer_id] = found.get(row.offer_id, 0) + row.available
        else:
            single.update(dict.fromkeys(numbers, row.offer_id))
    for number in taken_among(connection, single):
        del single[number]
    for offer_id in single.values():
        found[offer_id] = found.get(offer_id, 0) + 1
    return found


def taken_among(connection: Connection, numbers: Iterable[int]) -> set[int]:
    """Those of the numbers that are not available."""
    rest, gone = iter(numbers), set[int]()
    while some := [f"+{n}" for n in islice(rest, _ASK_AT_ONCE)]:
        found = connection.execute(_taken, {"some": some}).scalars()
        gone.update(map(int, found))
    return gone


_taken = select(taken.c.number).where(taken.c.number.in_(bindparam("some", expanding=True)))

"""Searching the stock. One row is one offer: all blocks of one place and type at equal terms.

With ``contains`` the count is of matching numbers (``matching.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from services.inventory import matching
from services.inventory.paging import check_limit, cursor_of
from services.inventory.projections import fold_city, offer
from services.inventory.sorting import Place, Sorting, sorting_of
from shared.money import Money
from shared.stores import Store

MOST_QUANTITY = 10
_SPARE = 30


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a search asks for; only the country is required. Raises ``invalid_value`` for digits
    that cannot be searched."""

    country: str
    type: str | None = None
    region: str | None = None
    area_code: str | None = None
    city: str | None = None
    sms: bool | None = None
    contains: str | None = None

    def __post_init__(self) -> None:
        """Checks the digits."""
        matching.check_contains(self.contains)

    def where(self) -> Any:
        """The condition on offers, but for counting ``contains``."""
        parts = [offer.c.country == self.country.upper(), offer.c.available > 0]
        equal = {
            offer.c.type: self.type,
            offer.c.region: self.region,
            offer.c.area_code: self.area_code,
            offer.c.city_fold: fold_city(self.city) if self.city else None,
            offer.c.sms: self.sms,
        }
        parts += [column == value for column, value in equal.items() if value is not None]
        if self.contains:
            parts.append(offer.c.offer_id.in_(matching.offers_with(self.contains)))
        return and_(*parts)


def search(
    views: Store, wanted: Wanted, limit: int, after: str | None, sort: str | None = None
) -> dict[str, Any]:
    """A page of offers by city, then prefix, or as ``sort`` says (``sorting.py``). Raises
    ``invalid_cursor``, ``invalid_value``."""
    check_limit(limit)
    sorting = sorting_of(sort)
    place = sorting.place_after(after)
    with views.read() as connection:
        found = list(islice(matches(connection, wanted, sorting, place, limit), limit + 1))
    rows = [offer_row(row, count) for row, count in found[:limit]]
    more = len(found) > limit
    last = [str(part) for part in sorting.place(*found[limit - 1])] if more else []
    return {"data": rows, "next": cursor_of(last) if more else None}


def matches(
    connection: Connection, wanted: Wanted, sorting: Sorting, place: Place | None, limit: int
) -> Iterator[tuple[Row[Any], int]]:
    """Offers behind a place, with what is available of each; about ``limit`` are read at once."""
    if wanted.contains and sorting.by_count:
        yield from sorting.by_counts(_all(connection, wanted, sorting), place)
        return
    # Offers that only might contain the digits fall out when they are counted, so ask for more.
    at_once = limit + 1 + (_SPARE if wanted.contains else 0)
    offers = select(offer).where(wanted.where())
    while rows := connection.execute(sorting.page_of(offers, place).limit(at_once)).all():
        yield from _counted(connection, wanted, rows)
        if len(rows) < at_once:
            return
        place = sorting.place(rows[-1], rows[-1].available)


def _all(
    connection: Connection, wanted: Wanted, sorting: Sorting
) -> Iterator[tuple[Row[Any], int]]:
    offers = sorting.page_of(select(offer).where(wanted.where()), None)
    yield from _counted(connection, wanted, connection.execute(offers).all())


def _counted(
    connection: Connection, wanted: Wanted, rows: Sequence[Row[Any]]
) -> Iterator[tuple[Row[Any], int]]:
    counts = _counts(connection, wanted, rows)
    yield from ((row, counts[row.offer_id]) for row in rows if counts.get(row.offer_id))


def _counts(connection: Connection, wanted: Wanted, rows: Any) -> dict[str, int]:
    if not wanted.contains:
        return {row.offer_id: row.available for row in rows}
    return matching.counts(connection, [row.offer_id for row in rows], wanted.contains)


def offer_row(row: Any, available: int) -> dict[str, Any]:
    """An offer as the API shows it."""
    unit = Money(row.setup_fee + row.monthly_fee, row.currency)
    return {
        "offer_id": row.offer_id,
        "prefix": row.prefix,
        "country": row.country,
        "region": row.region,
        "city": row.city,
        "area_code": row.area_code,
        "type": row.type,
        "setup_fee": Money(row.setup_fee, row.currency).as_json(),
        "monthly_fee": Money(row.monthly_fee, row.currency).as_json(),
        "min_period_months": row.min_period_months,
        "per_minute": Money(row.per_minute, row.currency).as_json(),
        "connect_fee": Money(row.connect_fee, row.currency).as_json(),
        "billing_increments": row.billing_increments,
        "sms": row.sms,
        "available": available,
        "max_quantity": min(MOST_QUANTITY, available),
        "unit_cost": unit.as_json(),
        "requirements": [],
    }

"""Searching the stock: countries, offers, the numbers of an offer.

One row is one offer. With ``contains`` the count is of matching numbers; it is worked out by
arithmetic for the offers of the page only (``digits.py``), and minus those that are taken.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from babel import Locale
from sqlalchemy import Connection, Row, Select, and_, or_, select, tuple_

from services.inventory.digits import containing
from services.inventory.projections import block, fold_city, offer, taken
from shared import phone
from shared.money import Money
from shared.refusals import refusal
from shared.regions import region_name
from shared.stores import Store

MOST_QUANTITY = 10
_FEWEST_DIGITS, _MOST_DIGITS = 3, 10
_ASK_AT_ONCE = 500
_LEAST_PAGE = 50


def countries(views: Store) -> list[dict[str, Any]]:
    """Where numbers are on sale: types, regions and area codes of each country."""
    query = (
        select(offer.c.country, offer.c.type, offer.c.region, offer.c.area_code)
        .where(offer.c.blocks > 0)
        .distinct()
    )
    by_country: dict[str, list[Any]] = {}
    with views.read() as connection:
        for row in connection.execute(query):
            by_country.setdefault(row.country, []).append(row)
    return [_country(code, rows) for code, rows in sorted(by_country.items())]


def _country(code: str, rows: list[Any]) -> dict[str, Any]:
    regions = sorted({r.region for r in rows if r.region})
    return {
        "code": code,
        "name": Locale("en").territories.get(code, code),
        "types": [t for t in phone.TYPES if t in {r.type for r in rows}],
        "regions": [{"code": r, "name": region_name(code, r)} for r in regions],
        "area_codes": sorted({r.area_code for r in rows}),
    }


class Wanted:
    """What a search asks for. Raises ``invalid_value`` for digits that cannot be searched."""

    def __init__(
        self,
        country: str,
        type: str | None = None,  # noqa: A002  # The field's name in the API.
        region: str | None = None,
        area_code: str | None = None,
        city: str | None = None,
        *,
        sms: bool | None = None,
        contains: str | None = None,
    ) -> None:
        self.country = country.upper()
        self.equal = {"type": type, "region": region, "area_code": area_code, "sms": sms}
        self.city = fold_city(city) if city else None
        self.contains = check_contains(contains)

    def where(self) -> Any:
        """The condition on offers, but for ``contains``."""
        parts = [offer.c.country == self.country, offer.c.available > 0]
        parts += [offer.c[k] == v for k, v in self.equal.items() if v is not None]
        if self.city is not None:
            parts.append(offer.c.city_fold == self.city)
        return and_(*parts)


def check_contains(digits: str | None) -> str | None:
    """3 to 10 digits, or nothing."""
    if not digits:
        return None
    if not digits.isascii() or not digits.isdigit():
        raise refusal("invalid_value", "contains takes digits only.", param="contains")
    if not _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
        raise refusal("invalid_value", "contains takes 3 to 10 digits.", param="contains")
    return digits


def search(views: Store, wanted: Wanted, limit: int, after: str | None) -> dict[str, Any]:
    """A page of offers by city, then prefix."""
    with views.read() as connection:
        found = list(islice(_matching(connection, wanted, after, limit), limit + 1))
    rows = [offer_row(row, count) for row, count in found[:limit]]
    more = len(found) > limit
    return {"data": rows, "next": _cursor(found[limit - 1][0]) if more else None}


def _matching(
    connection: Connection, wanted: Wanted, after: str | None, limit: int
) -> Iterator[tuple[Row[Any], int]]:
    for row in _offers(connection, wanted, after, max(limit + 1, _LEAST_PAGE)):
        count = row.available
        if wanted.contains is not None:
            count = _count_containing(connection, row.offer_id, wanted.contains)
        if count > 0:
            yield row, count


def _offers(
    connection: Connection, wanted: Wanted, after: str | None, page: int
) -> Iterator[Row[Any]]:
    place = _place(after)
    while True:
        rows = connection.execute(_page_of(wanted, place).limit(page)).all()
        yield from rows
        if len(rows) < page:
            return
        place = _key(rows[-1])


def _page_of(wanted: Wanted, place: tuple[str, ...] | None) -> Select[Any]:
    order = (offer.c.city_fold, offer.c.prefix, offer.c.offer_id)
    query = select(offer).where(wanted.where()).order_by(*order)
    if wanted.contains is not None:
        query = query.where(offer.c.offer_id.in_(_offers_with(wanted.contains)))
    return query if place is None else query.where(tuple_(*order) > place)


def _offers_with(digits: str) -> Select[Any]:
    return select(block.c.offer_id).where(block.c.available > 0, _may_contain(digits))


def _may_contain(digits: str) -> Any:
    # The wanted digits lie in the fixed ones, among the free ones, or over the border of the two.
    borders = [
        and_(block.c.free_digits >= len(digits) - n, block.c.fixed.endswith(digits[:n]))
        for n in range(1, len(digits))
    ]
    inside = block.c.free_digits >= len(digits)
    return or_(block.c.fixed.contains(digits), inside, *borders)


def _key(row: Row[Any]) -> tuple[str, ...]:
    return (row.city_fold, row.prefix, row.offer_id)


def _cursor(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(_key(row)).encode()).decode().rstrip("=")


def _place(cursor: str | None) -> tuple[str, ...] | None:
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise refusal("invalid_cursor", param="cursor") from None
    if not isinstance(parts, list) or len(parts) != 3:  # noqa: PLR2004  # City, prefix, id.
        raise refusal("invalid_cursor", param="cursor")
    return tuple(map(str, parts))


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


def _count_containing(connection: Connection, offer_id: str, digits: str) -> int:
    count = 0
    query = select(block).where(
        block.c.offer_id == offer_id, block.c.available > 0, _may_contain(digits)
    )
    few: list[int] = []
    for row in connection.execute(query).all():
        numbers = containing(row.first, row.last, row.fixed, digits)
        if len(numbers) == row.size:
            count += row.available
        else:
            few += numbers
    return count + len(few) - len(taken_among(connection, few))


def taken_among(connection: Connection, numbers: Iterable[int]) -> set[int]:
    """Those of the numbers that are not available."""
    rest, gone = iter(numbers), set[int]()
    while some := [f"+{n}" for n in islice(rest, _ASK_AT_ONCE)]:
        query = select(taken.c.number).where(taken.c.number.in_(some))
        gone.update(int(number) for number in connection.execute(query).scalars())
    return gone


def numbers_of(
    views: Store,
    offer_id: str,
    contains: str | None,
    consecutive: int | None,
    limit: int,
    after: str | None,
) -> dict[str, Any]:
    """A page of an offer's numbers that are available, in order. ``consecutive``: rows are runs of
    so many numbers in a row, named by their first. Raises ``offer_unknown``."""
    digits, start = check_contains(contains), _start(after)
    with views.read() as connection:
        if connection.execute(select(offer).where(offer.c.offer_id == offer_id)).first() is None:
            raise refusal("offer_unknown")
        numbers = _available(connection, offer_id, digits, start)
        runs = _runs(numbers, consecutive or 1)
        found = list(islice(runs, limit + 1))
    rows = [_number_row(run) for run in found[:limit]]
    more = len(found) > limit
    return {"data": rows, "next": str(found[limit - 1][-1]) if more else None}


def _start(after: str | None) -> int:
    if after is not None and not (after.isascii() and after.isdigit()):
        raise refusal("invalid_cursor", param="cursor")
    return int(after or 0)


def _available(
    connection: Connection, offer_id: str, digits: str | None, start: int
) -> Iterator[int]:
    query = select(block).where(
        block.c.offer_id == offer_id, block.c.available > 0, block.c.last > start
    )
    for row in connection.execute(query.order_by(block.c.first)).all():
        numbers: Iterable[int] = range(row.first, row.last + 1)
        if digits is not None:
            numbers = containing(row.first, row.last, row.fixed, digits)
        gone = _taken_in(connection, row.block_id)
        yield from (n for n in numbers if n > start and n not in gone)


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


def _number_row(run: list[int]) -> dict[str, Any]:
    first = f"+{run[0]}"
    row = {"number": first, "display": phone.display(first)}
    return row if len(run) == 1 else row | {"numbers": [f"+{n}" for n in run]}


def blocks(views: Store, country: str | None, limit: int, after: str | None) -> dict[str, Any]:
    """A page of blocks by first number, with what is left of each."""
    query = select(
        block, *(c for c in offer.c if c.name not in {"offer_id", "available"})
    ).join(offer, offer.c.offer_id == block.c.offer_id)
    query = query.where(block.c.first > _start(after)).order_by(block.c.first).limit(limit + 1)
    if country is not None:
        query = query.where(offer.c.country == country.upper())
    with views.read() as connection:
        found = connection.execute(query).all()
    more = len(found) > limit
    return {
        "data": [_block_row(row) for row in found[:limit]],
        "next": str(found[limit - 1].first) if more else None,
    }


def _block_row(row: Any) -> dict[str, Any]:
    return {
        "first_number": row.block_id,
        "count": row.size,
        "available": row.available,
        "withdrawn": row.withdrawn,
        "offer": offer_row(row, row.available),
    }

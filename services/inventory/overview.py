"""What there is to sell: countries for customers, blocks for the back office."""

from __future__ import annotations

from typing import Any

from babel import Locale
from sqlalchemy import select

from services.inventory.paging import check_limit, number_after
from services.inventory.projections import block, offer
from services.inventory.search import offer_row
from shared import phone
from shared.regions import region_name
from shared.stores import Store


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
    types, regions = {r.type for r in rows}, {r.region for r in rows if r.region}
    named = [{"code": r, "name": region_name(code, r)} for r in sorted(regions)]
    return {
        "code": code,
        "name": Locale("en").territories.get(code, code),
        "types": [t for t in phone.TYPES if t in types],
        "regions": named,
        "area_codes": sorted({r.area_code for r in rows}),
    }


def blocks(views: Store, country: str | None, limit: int, after: str | None) -> dict[str, Any]:
    """A page of blocks by first number, with what is left of each. Raises ``invalid_cursor``,
    ``invalid_value``."""
    check_limit(limit)
    of_offer = (c for c in offer.c if c.name not in {"offer_id", "available"})
    query = select(block, *of_offer).join(offer, offer.c.offer_id == block.c.offer_id)
    query = query.where(block.c.first > number_after(after)).order_by(block.c.first)
    if country is not None:
        query = query.where(offer.c.country == country.upper())
    with views.read() as connection:
        found = connection.execute(query.limit(limit + 1)).all()
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

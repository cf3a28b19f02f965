"""How much there is by country, type and time: sums over the changes of each day."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import func, select

from services.inventory.projections import stock_day
from shared.refusals import refusal
from shared.stores import Store

STATUSES = ("available", "held", "allocated", "quarantined")
_MOST_DAYS = 366


def overview(views: Store, today: date, days: int) -> dict[str, Any]:
    """Counts now, by country and type, and what was available at the end of each of so many days
    up to today, by country. Raises ``invalid_value``."""
    if not 1 <= days <= _MOST_DAYS:
        raise refusal("invalid_value", f"days is from 1 to {_MOST_DAYS}.", param="days")
    shown = [today - timedelta(days=n) for n in reversed(range(days))]
    return {
        "days": [day.isoformat() for day in shown],
        "counts": _counts(views),
        "countries": _countries(views, shown),
    }


def _counts(views: Store) -> list[dict[str, Any]]:
    sums = [func.sum(stock_day.c[name]).label(name) for name in STATUSES]
    place = (stock_day.c.country, stock_day.c.type)
    query = select(*place, *sums).group_by(*place).order_by(*place)
    with views.read() as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
    return [row | {"stocked": stocked} for row in found if (stocked := _stocked(row))]


def _stocked(row: dict[str, Any]) -> int:
    return sum(row[name] for name in STATUSES)


def _countries(views: Store, days: list[date]) -> list[dict[str, Any]]:
    columns = (stock_day.c.country, stock_day.c.day)
    query = select(*columns, func.sum(stock_day.c.available).label("change")).group_by(*columns)
    changes: dict[str, dict[date, int]] = {}
    with views.read() as connection:
        for row in connection.execute(query):
            # What happened before the first day is where its count begins.
            of_country = changes.setdefault(row.country, dict.fromkeys(days, 0))
            day = max(row.day, days[0])
            if day in of_country:
                of_country[day] += row.change
    return [
        {"country": country, "available": list(accumulate(of_country.values()))}
        for country, of_country in sorted(changes.items())
    ]

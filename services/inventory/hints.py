"""What helps a search along: cities that begin so, and what is found without one of the filters."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, select

from services.inventory.paging import check_limit
from services.inventory.projections import fold_city, offer
from services.inventory.search import Wanted, matches
from services.inventory.sorting import sorting_of
from shared.stores import Store

_FILTERS = ("type", "region", "area_code", "city", "sms", "contains")
_MOST = 1000


def cities(views: Store, wanted: Wanted, begins: str, limit: int) -> list[dict[str, Any]]:
    """Names of cities that begin so, in order, with how many numbers they have; the city that is
    wanted does not matter. Raises ``invalid_value``."""
    check_limit(limit)
    query = (
        select(func.min(offer.c.city).label("name"), func.sum(offer.c.available).label("available"))
        .where(replace(wanted, city=None).where(), offer.c.city != "")
        .where(offer.c.city_fold.startswith(fold_city(begins), autoescape=True))
        .group_by(offer.c.city_fold)
        .order_by(offer.c.city_fold)
        .limit(limit)
    )
    with views.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def without(views: Store, wanted: Wanted) -> list[dict[str, Any]]:
    """How many offers (counted up to 1,000) there are without each of the filters, and without any
    (``all``); those that would not help are left out."""
    used = [name for name in _FILTERS if getattr(wanted, name) is not None]
    nothing: dict[str, Any] = dict.fromkeys(used)
    tries = [(name, replace(wanted, **{name: nothing[name]})) for name in used]
    if len(used) > 1:
        tries.append(("all", Wanted(country=wanted.country)))
    with views.read() as connection:
        counted = [(name, _count(connection, one)) for name, one in tries]
    return [{"filter": name, "offers": count} for name, count in counted if count]


def _count(connection: Connection, wanted: Wanted) -> int:
    found = matches(connection, wanted, sorting_of(None), None, _MOST)
    return sum(1 for _ in islice(found, _MOST))

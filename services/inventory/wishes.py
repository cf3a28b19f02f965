"""The rules of a wish that need a look at the view of the stock (contract section 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from services.inventory.candidates import offer_of
from services.inventory.domain.hold_rules import check_items
from services.inventory.messages import AskHold, Item
from services.inventory.projections import taken
from shared.config import Settings
from shared.refusals import refusal


def check(connection: Connection, settings: Settings, items: Sequence[Item]) -> None:
    """Refuses what cannot be: ``items_invalid``, ``quantity_invalid``, ``offer_unknown``,
    ``offer_changed``, ``number_gone`` (a number that is not for sale at all), ``mixed_currency``,
    and ``too_many_per_city``: at most 10 per country, region and city over all rows and numbers."""
    check_items(items)
    offers = [(item, offer_of(connection, item)) for item in items]
    sold = [(item, row) for item, row in offers if row is not None]
    per_city: Counter[tuple[str, str, str]] = Counter()
    for item, row in sold:
        per_city[row.country, row.region, row.city] += item.quantity
    if max(per_city.values(), default=0) > settings.numbers_per_city:
        raise refusal("too_many_per_city", param="items")
    if len({row.currency for _, row in sold}) > 1:
        raise refusal("mixed_currency", param="items")


def check_held(connection: Connection, settings: Settings, ask: AskHold) -> None:
    """Refuses a quote by which an account would hold too many numbers: ``too_many_held``."""
    held = connection.execute(_held, {"of": ask.account_id}).scalar_one()
    wanted = sum(item.quantity for item in ask.items)
    if held + wanted > settings.numbers_held:
        detail = f"You hold {held} numbers; at most {settings.numbers_held} at once."
        raise refusal("too_many_held", detail)


_held = select(func.count()).where(taken.c.account_id == bindparam("of"), taken.c.status == "held")

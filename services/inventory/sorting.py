"""The orders in which offers can be listed, each with a page's place in it.

Whatever leads, city, prefix and id follow, so that every offer has one place. Amounts of different
currencies are never mixed: the currency comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, or_, tuple_

from services.inventory.paging import key_after
from services.inventory.projections import offer
from shared.refusals import refusal

_LONGEST_WHOLE = 18  # Digits that fit a column of whole numbers in any database.
_TIES = (offer.c.city_fold, offer.c.prefix, offer.c.offer_id)
LEADING: dict[str, tuple[ColumnElement[Any], ...]] = {
    "city": (),
    "prefix": (offer.c.prefix,),
    "type": (offer.c.type,),
    "setup": (offer.c.currency, offer.c.setup_fee),
    "monthly": (offer.c.currency, offer.c.monthly_fee),
    "min_period": (offer.c.min_period_months,),
    "minute": (offer.c.currency, offer.c.per_minute),
    "connect": (offer.c.currency, offer.c.connect_fee),
    "sms": (case((offer.c.sms, 1), else_=0),),
    "available": (offer.c.available,),
    "unit_cost": (offer.c.currency, offer.c.setup_fee + offer.c.monthly_fee),
}
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Sorting:
    """One order: columns, and for each whether it falls. ``by_count``: by what is available."""

    columns: tuple[ColumnElement[Any], ...]
    falling: tuple[bool, ...]
    by_count: bool

    def page_of(self, query: Select[Any], place: Place | None) -> Select[Any]:
        """The query's rows behind a place, in this order."""
        parts = list(zip(self.columns, self.falling, strict=True))
        named = (c.label(f"key_{n}") for n, c in enumerate(self.columns))
        query = query.add_columns(*named).order_by(*(c.desc() if f else c for c, f in parts))
        if place is None:
            return query
        return query.where(self._behind(parts, place))

    def _behind(self, parts: Sequence[tuple[ColumnElement[Any], bool]], place: Place) -> Any:
        if not any(self.falling):
            return tuple_(*self.columns) > place  # An index can answer this.
        return _behind(parts, place)

    def place(self, row: Row[Any], count: int) -> Place:
        """Where a row stands; ``count`` numbers of it are available."""
        found = [getattr(row, f"key_{n}") for n in range(len(self.columns))]
        return (count, *found[1:]) if self.by_count else tuple(found)

    def place_after(self, cursor: str | None) -> Place | None:
        """The place of a cursor. Raises ``invalid_cursor``."""
        texts = key_after(cursor, len(self.columns))
        if texts is None:
            return None
        return tuple(_value(c, text) for c, text in zip(self.columns, texts, strict=True))

    def by_counts(
        self, found: Iterable[tuple[Row[Any], int]], place: Place | None
    ) -> list[tuple[Row[Any], int]]:
        """Rows with their counts in this order, where no database knows the counts."""

        def key(one: tuple[Row[Any], int]) -> Place:
            return self._signed(self.place(*one))

        behind = None if place is None else self._signed(place)
        return sorted((one for one in found if behind is None or key(one) > behind), key=key)

    def _signed(self, place: Place) -> Place:
        return (-place[0] if self.falling[0] else place[0], *place[1:])


def sorting_of(name: str | None) -> Sorting:
    """The order of a name; a minus before it lets it fall. Raises ``invalid_value``."""
    plain = (name or "city").removeprefix("-")
    falls = (name or "").startswith("-")
    if plain not in LEADING:
        detail = f"sort is one of {', '.join(LEADING)}, with or without a minus."
        raise refusal("invalid_value", detail, param="sort")
    leading = LEADING[plain] or _TIES[:1]
    ties = tuple(c for c in _TIES if c is not leading[0])
    falling = (falls,) * len(leading) + (False,) * len(ties)
    return Sorting((*leading, *ties), falling, plain == "available")


def _behind(parts: Sequence[tuple[ColumnElement[Any], bool]], place: Place) -> Any:
    column, falls = parts[0]
    further = column < place[0] if falls else column > place[0]
    if len(parts) == 1:
        return further
    return or_(further, and_(column == place[0], _behind(parts[1:], place[1:])))


def _value(column: ColumnElement[Any], text: str) -> Any:
    if column.type.python_type is not int:
        return text
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_WHOLE):
        raise refusal("invalid_cursor", param="cursor")
    return int(text)

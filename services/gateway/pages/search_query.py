"""What a search page's address says: filters, order, rows opened, what is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from shared.phone import TYPES

QUANTITY = "quantity."
NUMBER = "number"
RUN = "run"
RUN_LENGTH = 10
# What offers can be sorted by; those with a minus begin with the most.
SORTS = (
    "prefix",
    "city",
    "type",
    "setup",
    "monthly",
    "min_period",
    "minute",
    "connect",
    "-sms",
    "-available",
    "unit_cost",
)
_CITY = "city"
_SORTABLE = frozenset(one.removeprefix("-") for one in SORTS)
_FIELDS = ("country", "region", "type", "area_code", "city", "sms", "digits")
# A field called ``contains`` would hide the form's own method of that name from scripts.
_ARGUMENT = {"digits": "contains"}
_FIELD = {argument: field for field, argument in _ARGUMENT.items()}
_STEP = 20
_MOST = 500
_MOST_CHOSEN = 10
_MOST_NUMBERS = 100  # More than any order takes.
_E164 = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)


@dataclass(frozen=True)
class SearchQuery:
    """One search. ``filters`` as typed, ``show`` rows at most; a run is ten numbers in a row, named
    by its first. ``asked``: whether there are results to show."""

    filters: dict[str, str]
    show: int
    sort: str
    opened: tuple[str, ...]
    quantities: dict[str, int]
    runs: tuple[str, ...]
    numbers: tuple[str, ...]
    asked: bool

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``search_available``, but for the order."""
        named: dict[str, Any] = {_ARGUMENT.get(n, n): v for n, v in self.filters.items() if v}
        return named | {"sms": True} if named.pop("sms", None) else named

    def items(self) -> list[dict[str, Any]]:
        """What was chosen, as ``hold_numbers`` takes it."""
        offers = [{"offer_id": o, "quantity": q} for o, q in sorted(self.quantities.items()) if q]
        numbers = dict.fromkeys([*(n for run in self.runs for n in in_run(run)), *self.numbers])
        return [*offers, *({"number": number} for number in numbers)]

    def without(self, argument: str) -> SearchQuery:
        """The search without one of its filters, named as an argument, or without ``all``."""
        kept = {"country"} if argument == "all" else set(_FIELDS) - {_FIELD.get(argument, argument)}
        filters = {name: value if name in kept else "" for name, value in self.filters.items()}
        return replace(self, filters=filters)

    def address(self, **changes: Any) -> str:
        """The address of this search, with what is chosen; changes take the place of ``show``."""
        pairs = [(n, v) for n, v in self.filters.items() if v]
        pairs += [("sort", self.sort)] if self.sort != _CITY else []
        pairs += [("lists", "1")] if self.filters["country"] and not self.asked else []
        pairs += [("open", offer) for offer in self.opened]
        pairs += [(QUANTITY + offer, str(n)) for offer, n in self.quantities.items() if n]
        pairs += [(RUN, first) for first in self.runs]
        pairs += [(NUMBER, number) for number in self.numbers]
        pairs += [(n, str(v)) for n, v in ({"show": self.show} | changes).items() if v]
        return "/search?" + urlencode(pairs)


def query_from(sent: MultiDict[str, str], country: str = "") -> SearchQuery:
    """Reads an address or a form. ``country`` is chosen where none is named; with ``lists`` only
    the lists of the form are wanted, ``shut`` closes a row that is open."""
    filters = {name: sent.get(name, "").strip() for name in _FIELDS}
    asked = bool(filters["country"]) and "lists" not in sent
    return SearchQuery(
        filters=filters | {"country": filters["country"] or country},
        show=_whole(sent.get("more") or sent.get("show"), _STEP, _MOST),
        sort=_sort(sent.get("sort_by") or sent.get("sort", "")),
        opened=tuple(o for o in dict.fromkeys(sent.getlist("open")) if o != sent.get("shut")),
        quantities=_quantities(sent),
        runs=_numbers(sent, RUN),
        numbers=_numbers(sent, NUMBER),
        asked=asked,
    )


def in_run(first: str) -> list[str]:
    """The ten numbers of a run."""
    return [f"+{int(first) + n}" for n in range(RUN_LENGTH)]


def fitting(query: SearchQuery, country: Mapping[str, Any] | None) -> SearchQuery:
    """The query without what the chosen country does not have: lists follow the country."""
    offered = {
        "region": {r["code"] for r in country["regions"]} if country else set(),
        "type": set(country["types"]) if country else set(TYPES),
        "area_code": set(country["area_codes"]) if country else set(),
    }
    filters = {n: v if v in offered.get(n, {v}) else "" for n, v in query.filters.items()}
    return replace(query, filters=filters)


def longer(query: SearchQuery) -> int | None:
    """How many rows to show next; ``None`` where a page holds no more."""
    return query.show + 2 * _STEP if query.show < _MOST else None


def _sort(wanted: str) -> str:
    return wanted if wanted.removeprefix("-") in _SORTABLE and wanted[:2] != "--" else _CITY


def _numbers(sent: MultiDict[str, str], name: str) -> tuple[str, ...]:
    found = (one for one in sent.getlist(name) if _E164.fullmatch(one))
    return tuple(dict.fromkeys(found))[:_MOST_NUMBERS]


def _quantities(sent: MultiDict[str, str]) -> dict[str, int]:
    named = {name.removeprefix(QUANTITY): name for name in sent if name.startswith(QUANTITY)}
    found = {offer: _whole(sent.get(name), 0, _MOST_CHOSEN) for offer, name in named.items()}
    return {offer: quantity for offer, quantity in found.items() if quantity}


def _whole(text: str | None, otherwise: int, most: int) -> int:
    plain = (text or "").strip()
    usable = plain.isascii() and plain.isdigit() and len(plain) < len(str(most)) + 2
    return min(int(plain), most) if usable else otherwise

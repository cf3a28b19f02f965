"""What a search page's address says: filters, rows opened, quantities and numbers chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from shared.phone import TYPES

QUANTITY = "quantity."
NUMBER = "number"
_FIELDS = ("country", "region", "type", "area_code", "city", "sms", "digits")
# A field called ``contains`` would hide the form's own method of that name from scripts.
_ARGUMENT = {"digits": "contains"}
_STEP = 20
_MOST = 500
_MOST_CHOSEN = 10


@dataclass(frozen=True)
class SearchQuery:
    """One search. ``filters`` as typed, ``show`` rows at most."""

    filters: dict[str, str]
    show: int
    opened: tuple[str, ...]
    quantities: dict[str, int]
    numbers: tuple[str, ...]
    asked: bool

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``search_available``."""
        named: dict[str, Any] = {_ARGUMENT.get(n, n): v for n, v in self.filters.items() if v}
        return named | {"sms": True} if named.pop("sms", None) else named

    def items(self) -> list[dict[str, Any]]:
        """What was chosen, as ``hold_numbers`` takes it."""
        offers = [{"offer_id": o, "quantity": q} for o, q in sorted(self.quantities.items()) if q]
        return [*offers, *({"number": number} for number in self.numbers)]

    def address(self, **changes: Any) -> str:
        """The address of this search, with what is chosen; changes take the place of ``show``."""
        pairs = [(n, v) for n, v in self.filters.items() if v]
        pairs += [("open", offer) for offer in self.opened]
        pairs += [(QUANTITY + offer, str(n)) for offer, n in self.quantities.items() if n]
        pairs += [(NUMBER, number) for number in self.numbers]
        pairs += [(n, str(v)) for n, v in ({"show": self.show} | changes).items() if v]
        return "/search?" + urlencode(pairs)


def query_from(sent: MultiDict[str, str], country: str = "") -> SearchQuery:
    """Reads an address or a form. ``country`` is chosen where none is named."""
    filters = {name: sent.get(name, "").strip() for name in _FIELDS}
    asked = bool(filters["country"])
    return SearchQuery(
        filters=filters | {"country": filters["country"] or country},
        show=_whole(sent.get("more") or sent.get("show"), _STEP, _MOST),
        opened=tuple(dict.fromkeys(sent.getlist("open"))),
        quantities=_quantities(sent),
        numbers=tuple(dict.fromkeys(sent.getlist(NUMBER))),
        asked=asked,
    )


def fitting(query: SearchQuery, country: Mapping[str, Any] | None) -> SearchQuery:
    """The query without what the chosen country does not have: lists follow the country."""
    offered = {
        "region": {r["code"] for r in country["regions"]} if country else set(),
        "type": set(country["types"]) if country else set(TYPES),
        "area_code": set(country["area_codes"]) if country else set(),
    }
    filters = {n: v if v in offered.get(n, {v}) else "" for n, v in query.filters.items()}
    return SearchQuery(**{**vars(query), "filters": filters})


def longer(query: SearchQuery) -> int | None:
    """How many rows to show next; ``None`` where a page holds no more."""
    return query.show + 2 * _STEP if query.show < _MOST else None


def _quantities(sent: MultiDict[str, str]) -> dict[str, int]:
    named = {name.removeprefix(QUANTITY): name for name in sent if name.startswith(QUANTITY)}
    found = {offer: _whole(sent.get(name), 0, _MOST_CHOSEN) for offer, name in named.items()}
    return {offer: quantity for offer, quantity in found.items() if quantity}


def _whole(text: str | None, otherwise: int, most: int) -> int:
    plain = (text or "").strip()
    usable = plain.isascii() and plain.isdigit() and len(plain) < len(str(most)) + 2
    return min(int(plain), most) if usable else otherwise

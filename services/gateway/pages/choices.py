"""What the lists of forms offer: pairs of value and text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.gateway import texts
from services.gateway.pages.formats import Formats
from services.gateway.pages.search_query import SORTS

Choices = list[tuple[str, str]]


def types(offered: Iterable[str]) -> Choices:
    """Types of numbers."""
    return [(kind, texts.text(f"type.{kind}")) for kind in offered]


def statuses(offered: Iterable[str]) -> Choices:
    """Statuses of numbers."""
    return [(status, texts.text(f"number.status.{status}")) for status in offered]


def countries(formats: Formats, codes: Iterable[str]) -> Choices:
    """Countries by name."""
    return sorted(((code, formats.country(code)) for code in codes), key=lambda pair: pair[1])


def regions(country: Mapping[str, Any] | None) -> Choices:
    """A country's states by name."""
    offered = country["regions"] if country else ()
    return sorted(((r["code"], r["name"]) for r in offered), key=lambda pair: pair[1])


def area_codes(country: Mapping[str, Any] | None) -> Choices:
    """A country's area codes."""
    return [(code, code) for code in (country["area_codes"] if country else ())]


def sortings(chosen: str) -> Choices:
    """Orders of offers: one for each column, and the one that is chosen."""
    offered = SORTS if chosen in SORTS else (*SORTS, chosen)
    return [(one, _sorting(one)) for one in offered]


def _sorting(sort: str) -> str:
    name = texts.text(f"search.column.{sort.removeprefix('-')}")
    return texts.text("search.sort.down" if sort.startswith("-") else "search.sort.up", column=name)

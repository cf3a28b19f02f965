"""What the lists of forms offer: pairs of value and text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.gateway import texts
from services.gateway.pages.formats import Formats

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

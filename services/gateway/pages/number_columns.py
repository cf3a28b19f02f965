"""Which columns the list of numbers shows, and how many rows: kept in a cookie of the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# The number itself is always shown.
COLUMNS = (
    "labels",
    "type",
    "city",
    "sms",
    "channels",
    "monthly_cost",
    "paid_until",
    "origin",
    "status",
)
SIZES = (20, 50, 100)
COOKIE = "pbxim_numbers"
_USUAL = 50


@dataclass(frozen=True)
class Shown:
    """How somebody likes the list."""

    columns: tuple[str, ...] = COLUMNS
    size: int = _USUAL

    def text(self) -> str:
        """As the cookie keeps it: ``50.labels-city``."""
        return f"{self.size}.{'-'.join(self.columns)}"


def shown_from(size: str, columns: Sequence[str]) -> Shown:
    """What a form or a cookie says; what it cannot mean is passed over."""
    sizes = {str(one): one for one in SIZES}
    chosen = tuple(one for one in COLUMNS if one in columns)
    return Shown(chosen, sizes.get(size, _USUAL))


def kept(cookie: str | None) -> Shown:
    """What the cookie says; without one, everything."""
    if cookie is None:
        return Shown()
    size, _, columns = cookie.partition(".")
    return shown_from(size, columns.split("-"))

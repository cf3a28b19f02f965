"""The stock at a glance: bars by country and type, and a line per country over the last days."""

from __future__ import annotations

from datetime import date
from typing import Any

from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.office.common import office_page
from services.gateway.pages.rendering import formats
from services.gateway.surroundings import ask
from shared.phone import TYPES

PAGES = Pages()
STATUSES = ("available", "held", "allocated", "quarantined")
DAYS = 30
_BAR_STEP = 44  # Pixels from one bar to the next.
_THINNEST = 0.4  # Per cent: what there is at all can be seen.
_HEIGHT = 100


@PAGES.get("/office/stock", Who.STAFF)
def show_stock() -> Answer:
    """The picture, and the same as tables."""
    found = ask("inventory", "get_stock_overview", days=DAYS)
    counts = sorted(found["counts"], key=_place)
    return office_page(
        "office/stock.html",
        "stock",
        statuses=STATUSES,
        bars=_bars(counts),
        bars_height=len(counts) * _BAR_STEP,
        totals={name: sum(row[name] for row in counts) for name in (*STATUSES, "stocked")},
        days=[date.fromisoformat(day) for day in found["days"]],
        lines=_lines(found["countries"]),
        last=len(found["days"]) - 1,
    )


def _place(row: dict[str, Any]) -> tuple[str, int]:
    return formats().country(row["country"]), TYPES.index(row["type"])


def _bars(counts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each bar with its parts in per cent of the longest."""
    longest = max((row["stocked"] for row in counts), default=1)
    widths = [_widths(row, longest) for row in counts]
    # What is widened to be seen at all must not run over the end.
    fullest = max((sum(of_row.values()) for of_row in widths), default=0.0)
    scale = 100 / max(100.0, fullest)
    return [
        row | {"y": n * _BAR_STEP, "parts": _parts(widths[n], scale)}
        for n, row in enumerate(counts)
    ]


def _widths(row: dict[str, Any], longest: int) -> dict[str, float]:
    return {s: max(_THINNEST, 100 * row[s] / longest) for s in STATUSES if row[s]}


def _parts(widths: dict[str, float], scale: float) -> list[dict[str, str]]:
    parts, x = [], 0.0
    for status, width in widths.items():
        parts.append({"status": status, "x": f"{x:.2f}%", "width": f"{width * scale:.2f}%"})
        x += width * scale
    return parts


def _lines(countries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each country's line: one unit to the right per day, its highest day at the top."""
    found = []
    for row in countries:
        highest = max(*row["available"], 1)
        points = [(n, _HEIGHT - _HEIGHT * v / highest) for n, v in enumerate(row["available"])]
        line = " ".join(f"{x},{y:.2f}" for x, y in points)
        ends = f"{len(points) - 1},{_HEIGHT} 0,{_HEIGHT}"
        found.append(row | {"line": line, "area": f"{line} {ends}", "highest": highest})
    return sorted(found, key=lambda row: formats().country(row["country"]))

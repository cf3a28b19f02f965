"""The list of numbers as a file: all rows of the tab that the filters leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, request, stream_with_context

from services.gateway import csv_export
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.number_query import EXPORT, NumberQuery, query_from
from services.gateway.surroundings import ask

PAGES = Pages()
_AT_ONCE = 100


@PAGES.get(EXPORT)
def export_number_list() -> Answer:
    """The rows in their order, written while they are read. Raises ``invalid_value``."""
    query = query_from(request.args).at()
    first = _page(query, None)  # What is refused is refused before the file begins.
    lines = stream_with_context(csv_export.lines(_rows(query, first)))
    answer = Response(lines, content_type="text/csv; charset=utf-8")
    name = f'attachment; filename="phone-numbers-{query.tab}.csv"'
    answer.headers["Content-Disposition"] = name
    return answer


def _rows(query: NumberQuery, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from found["data"]
    while found["next"]:
        found = _page(query, found["next"])
        yield from found["data"]


def _page(query: NumberQuery, after: str | None) -> dict[str, Any]:
    wanted = query.listing() | {"after": after, "limit": _AT_ONCE}
    found: dict[str, Any] = ask("orders", "list_numbers", **wanted)
    return found

"""The list of numbers as a file: all rows of the tab that the filters leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, request

from services.gateway import csv_export
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.number_query import EXPORT, NumberQuery, query_from
from services.gateway.surroundings import context, gateway

PAGES = Pages()
_AT_ONCE = 100
Page = dict[str, Any]


@PAGES.get(EXPORT)
def export_number_list() -> Answer:
    """The rows in their order, written while they are read. Raises ``invalid_value``."""
    query = query_from(request.args).at()
    read = _reader(query)
    first = read(None)  # What is refused is refused before the file begins.
    lines = csv_export.lines(_rows(read, first))
    answer = Response(lines, content_type="text/csv; charset=utf-8")
    name = f'attachment; filename="phone-numbers-{query.tab}.csv"'
    answer.headers["Content-Disposition"] = name
    return answer


def _reader(query: NumberQuery) -> Callable[[str | None], Page]:
    # The file is written when the request is over: who asks has to be known from before.
    client, asked = gateway().client, context()
    wanted = query.listing() | {"limit": _AT_ONCE}

    def read(after: str | None) -> Page:
        found: Page = client.call("orders", "list_numbers", asked, **wanted | {"after": after})
        return found

    return read


def _rows(read: Callable[[str | None], Page], found: Page) -> Iterator[dict[str, Any]]:
    yield from found["data"]
    while found["next"]:
        found = read(found["next"])
        yield from found["data"]

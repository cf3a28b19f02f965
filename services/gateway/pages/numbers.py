"""The account's numbers: tabs, filters, orders of rows, pages; and how somebody likes the list."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.wrappers import Response

from services.gateway.identity import Who
from services.gateway.pages.choices import countries, statuses, types
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.number_columns import COLUMNS, COOKIE, SIZES, kept, shown_from
from services.gateway.pages.number_query import (
    EXPORT,
    LIST,
    ORDERS,
    SORTS,
    TABS,
    NumberQuery,
    query_from,
)
from services.gateway.pages.paths import go, went_from
from services.gateway.pages.rendering import formats, page
from services.gateway.surroundings import ask, gateway
from shared.errors import PbxError
from shared.phone import TYPES

PAGES = Pages()
_YEAR = 365 * 24 * 3600
_MOST_ORDERS = 100
_NOTHING: dict[str, Any] = {"data": [], "next": None, "previous": None}


@PAGES.get(LIST)
def show_numbers() -> Answer:
    """The list. Everything about it stands in the address, but for columns and the page's size."""
    query, shown = query_from(request.args), kept(request.cookies.get(COOKIE))
    try:
        # Counted first: what changes while the rest is read is seen by the next look (live.py).
        counts = ask("orders", "count_numbers", **query.counting())
        found = ask("orders", "list_numbers", **query.listing(), limit=shown.size)
    except PbxError as error:
        if error.code == "invalid_cursor":
            return go(query.at().address())
        if error.code != "invalid_value":
            raise
        counts, found = ask("orders", "count_numbers"), _NOTHING
        return _page(query, counts, found, wrong=True)
    return _page(query, counts, found)


@PAGES.post("/numbers/view", Who.MEMBER)
def change_view() -> Answer:
    """Keeps which columns and how many rows somebody wants to see."""
    shown = shown_from(request.form.get("size", ""), request.form.getlist("column"))
    back = went_from()
    answer = go(back if back.startswith(LIST) else LIST)
    _keep(answer, shown.text())
    return answer


def _keep(answer: Response, text: str) -> None:
    answer.set_cookie(
        COOKIE,
        text,
        max_age=_YEAR,
        path=LIST,
        secure=gateway().settings.public_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )


def _page(
    query: NumberQuery, counts: dict[str, Any], found: dict[str, Any], *, wrong: bool = False
) -> Answer:
    shown = kept(request.cookies.get(COOKIE))
    orders = _orders(query, counts)
    return page(
        "numbers/numbers.html",
        query=query,
        tabs={tab: _held(tab, counts) for tab in TABS},
        rows=found["data"],
        all_rows=sum(counts["numbers"].get(status, 0) for status in query.statuses()),
        orders=orders,
        change=counts["change"],
        wrong=wrong,
        columns=("number", *shown.columns),
        sortable=SORTS,
        shown=shown,
        every_column=COLUMNS,
        sizes=SIZES,
        export=query.at().address(EXPORT),
        next_page=query.at(after=found["next"]).address() if found["next"] else None,
        previous_page=query.at(before=found["previous"]).address() if found["previous"] else None,
        first_page=query.at().address() if query.after or query.before else None,
        status_choices=statuses(TABS[query.tab]),
        type_choices=types(TYPES),
        country_choices=countries(formats(), counts["countries"]),
    )


def _held(tab: str, counts: dict[str, Any]) -> int:
    """What a tab holds: numbers, and orders on their way."""
    numbers: int = sum(counts["numbers"].get(status, 0) for status in TABS[tab])
    orders: int = sum(counts["orders"].get(status, 0) for status in ORDERS.get(tab, ()))
    return numbers + orders


def _orders(query: NumberQuery, counts: dict[str, Any]) -> list[dict[str, Any]]:
    """The orders of the tab; filters are about numbers. (Port requests will stand here too.)"""
    wanted = [status for status in ORDERS.get(query.tab, ()) if counts["orders"].get(status)]
    if not wanted:
        return []
    found = ask("orders", "list_orders", statuses=wanted, limit=_MOST_ORDERS)
    orders: list[dict[str, Any]] = found["data"]
    return orders

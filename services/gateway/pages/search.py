"""Searching the stock. The whole search stands in the address, also what was chosen."""

from __future__ import annotations

from typing import Any

from flask import request

from services.gateway.identity import Who
from services.gateway.pages.choices import area_codes, regions, types
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go
from services.gateway.pages.rendering import account, known_problem, new_key, page
from services.gateway.pages.search_query import SearchQuery, fitting, longer, query_from
from services.gateway.surroundings import ask, passing_over
from shared.errors import PbxError
from shared.phone import TYPES

PAGES = Pages()
_MOST_ROWS = 100
_MOST_NUMBERS = 100


@PAGES.get("/search")
def show_search() -> Answer:
    """Form and results. Without a country only the form."""
    countries = ask("inventory", "list_countries")
    query = query_from(request.args, _home(countries))
    country = next((c for c in countries if c["code"] == query.filters["country"]), None)
    query = fitting(query, country)
    rows, more, wrong = _results(query)
    return page(
        "search/search.html",
        query=query,
        countries=countries,
        region_choices=regions(country),
        type_choices=types(country["types"] if country else TYPES),
        area_code_choices=area_codes(country),
        rows=rows,
        more=longer(query) if more else None,
        narrow=more and longer(query) is None,
        opened={offer: _numbers(offer, query) for offer in query.opened},
        wrong=wrong,
        nothing=request.args.get("problem") == "nothing",
        problem=known_problem(request.args.get("problem")),
        form_key=new_key(),
    )


@PAGES.post("/search", Who.MEMBER)
def refine_search() -> Answer:
    """More rows, or a row opened, with what was chosen so far: all of it goes into the address."""
    return go(query_from(request.form).address())


def _home(countries: list[dict[str, Any]]) -> str:
    """The account's own country, if numbers of it are on sale."""
    home = (account() or {}).get("country", "")
    return home if home in {c["code"] for c in countries} else ""


def _results(query: SearchQuery) -> tuple[list[dict[str, Any]], bool, bool]:
    """Rows, whether there are more, and whether the digits could not be searched."""
    if not query.asked:
        return [], False, False
    try:
        return *_rows(query), False
    except PbxError as error:
        if error.code != "invalid_value":
            raise
        return [], False, True


def _rows(query: SearchQuery) -> tuple[list[dict[str, Any]], bool]:
    rows: list[dict[str, Any]] = []
    after = None
    while len(rows) < query.show:
        limit = min(query.show - len(rows), _MOST_ROWS)
        found = ask("inventory", "search_available", **query.arguments(), limit=limit, after=after)
        rows += found["data"]
        after = found["next"]
        if after is None:
            break
    return rows, after is not None


def _numbers(offer_id: str, query: SearchQuery) -> list[dict[str, Any]]:
    """The single numbers of a row. An offer that is gone meanwhile has none."""
    found = passing_over("offer_unknown", "invalid_value")(
        lambda: ask(
            "inventory",
            "list_offer_numbers",
            offer_id=offer_id,
            contains=query.filters["digits"] or None,
            limit=_MOST_NUMBERS,
        )
    )
    return found["data"] if found else []

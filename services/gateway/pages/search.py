"""Searching the stock. The whole search stands in the address, also what was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request

from services.gateway.identity import Who
from services.gateway.pages.choices import area_codes, regions, sortings, types
from services.gateway.pages.chosen import chosen_of
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go
from services.gateway.pages.rendering import account, known_problem, new_key, page
from services.gateway.pages.search_query import (
    NUMBER,
    QUANTITY,
    RUN,
    RUN_LENGTH,
    SearchQuery,
    fitting,
    longer,
    query_from,
)
from services.gateway.surroundings import ask, catch_up, passing_over
from shared.errors import PbxError
from shared.phone import TYPES

PAGES = Pages()
_MOST_ROWS = 100
_MOST_NUMBERS = 100
_MOST_RUNS = 20
_MOST_CITIES = 12


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search brings. ``wrong``: the digits cannot be searched; ``without`` is what would
    be found without one of the filters, where nothing is."""

    rows: tuple[dict[str, Any], ...] = ()
    more: bool = False
    wrong: bool = False
    without: tuple[dict[str, Any], ...] = ()


@PAGES.get("/search")
def show_search() -> Answer:
    """Form and results. Without a country only the form."""
    catch_up("stock")
    countries = ask("inventory", "list_countries")
    query = query_from(request.args, _home(countries))
    country = next((c for c in countries if c["code"] == query.filters["country"]), None)
    chosen = chosen_of(fitting(query, country))
    query = chosen.query
    found = _found(query)
    opened = _opened(query, found)
    return page(
        "search/search.html",
        query=query,
        countries=countries,
        region_choices=regions(country),
        type_choices=types(country["types"] if country else TYPES),
        area_code_choices=area_codes(country),
        sort_choices=sortings(query.sort),
        cities=_cities(query),
        found=found,
        more=longer(query) if found.more else None,
        narrow=found.more and longer(query) is None,
        documents=any(row["requirements"] for row in found.rows),
        opened=opened,
        chosen=chosen,
        elsewhere=chosen.elsewhere(_fields(found, opened)),
        nothing=request.args.get("problem") == "nothing",
        problem=known_problem(request.args.get("problem")),
        form_key=new_key(),
    )


@PAGES.post("/search", Who.MEMBER)
def refine_search() -> Answer:
    """A search, another order, more rows, a row opened: what was chosen so far stays, all of it
    goes into the address."""
    return go(query_from(request.form).address())


def _home(countries: list[dict[str, Any]]) -> str:
    """The account's own country, if numbers of it are on sale."""
    home = (account() or {}).get("country", "")
    return home if home in {c["code"] for c in countries} else ""


def _found(query: SearchQuery) -> Found:
    if not query.asked:
        return Found()
    try:
        rows, more = _rows(query)
        return Found(rows=tuple(rows), more=more, without=() if rows else tuple(_without(query)))
    except PbxError as error:
        if error.code != "invalid_value":
            raise
        return Found(wrong=True)


def _rows(query: SearchQuery) -> tuple[list[dict[str, Any]], bool]:
    rows: list[dict[str, Any]] = []
    wanted = query.arguments() | {"sort": query.sort}
    after = None
    while len(rows) < query.show:
        limit = min(query.show - len(rows), _MOST_ROWS)
        found = ask("inventory", "search_available", **wanted, limit=limit, after=after)
        rows += found["data"]
        after = found["next"]
        if after is None:
            break
    return rows, after is not None


def _without(query: SearchQuery) -> list[dict[str, Any]]:
    found = ask("inventory", "count_without", **query.arguments())
    return [one | {"address": query.without(one["filter"]).address()} for one in found]


def _cities(query: SearchQuery) -> list[dict[str, Any]]:
    """A few cities that begin as what was typed, for the field and where nothing is found."""
    wanted = query.arguments() | {"begins": query.filters["city"], "limit": _MOST_CITIES}
    wanted.pop("city", None)
    wanted.pop("contains", None)
    return ask("inventory", "suggest_cities", **wanted) if query.filters["country"] else []


def _opened(query: SearchQuery, found: Found) -> dict[str, dict[str, Any]]:
    shown = {row["offer_id"] for row in found.rows}
    return {offer: _inside(offer, query) for offer in query.opened if offer in shown}


def _inside(offer_id: str, query: SearchQuery) -> dict[str, Any]:
    """The single numbers and the runs of a row. An offer that is gone meanwhile has none."""
    digits = query.filters["digits"] or None
    numbers = _listed(offer_id, contains=digits, limit=_MOST_NUMBERS)
    runs = _listed(offer_id, contains=digits, limit=_MOST_RUNS, consecutive=RUN_LENGTH)
    return {"numbers": numbers["data"], "more": bool(numbers["next"]), "runs": runs["data"]}


def _listed(offer_id: str, **wanted: Any) -> dict[str, Any]:
    found = passing_over("offer_unknown", "invalid_value")(
        lambda: ask("inventory", "list_offer_numbers", offer_id=offer_id, **wanted)
    )
    return found or {"data": [], "next": None}


def _fields(found: Found, opened: dict[str, dict[str, Any]]) -> set[tuple[str, str]]:
    """Name and value of every field of the results with which something can be chosen."""
    fields = {(QUANTITY + row["offer_id"], "") for row in found.rows}
    for inside in opened.values():
        fields |= {(NUMBER, one["number"]) for one in inside["numbers"]}
        fields |= {(RUN, one["number"]) for one in inside["runs"]}
    return fields

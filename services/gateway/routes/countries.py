"""Countries and search."""

from __future__ import annotations

from typing import Any

from services.gateway.declare import Routes
from services.gateway.schemas.common import page
from services.gateway.schemas.stock import (
    Countries,
    OfferNumbers,
    OfferNumbersQuery,
    OfferPath,
    Offers,
    SearchQuery,
)
from services.gateway.surroundings import ask

ROUTES = Routes("Search", "Which numbers can be bought, where, and at which terms.")
_VIEWS = ("stock",)


@ROUTES.get("/v1/countries", Countries, waits_for=_VIEWS)
def list_countries() -> dict[str, Any]:
    """Countries with stock: types, regions, area codes"""
    return page({"data": ask("inventory", "list_countries"), "next": None})


@ROUTES.get("/v1/available-numbers", Offers, waits_for=_VIEWS, refuses=("invalid_cursor",))
def search_available_numbers(query: SearchQuery) -> dict[str, Any]:
    """Search for numbers: one row per city, area code, type and terms"""
    wanted = query.model_dump(exclude={"cursor"}, exclude_none=True)
    return page(ask("inventory", "search_available", **wanted, after=query.cursor))


@ROUTES.get(
    "/v1/available-numbers/<offer_id>/numbers",
    OfferNumbers,
    waits_for=_VIEWS,
    refuses=("offer_unknown", "offer_changed", "invalid_cursor"),
)
def list_offer_numbers(path: OfferPath, query: OfferNumbersQuery) -> dict[str, Any]:
    """The available numbers of an offer"""
    wanted = query.model_dump(exclude={"cursor"}, exclude_none=True)
    answer = ask(
        "inventory", "list_offer_numbers", offer_id=path.offer_id, **wanted, after=query.cursor
    )
    return page(answer)

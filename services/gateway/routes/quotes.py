"""Quotes: numbers held at a price."""

from __future__ import annotations

from typing import Any

from services.gateway.declare import Key, Routes, created
from services.gateway.identity import Who
from services.gateway.schemas.buying import Quote, QuoteBody, QuotePath
from services.gateway.schemas.common import Nothing
from services.gateway.surroundings import ask, order, without_position

ROUTES = Routes("Quotes", "Numbers are held for some minutes while the customer decides.")
HOLDING = (
    "number_gone",
    "number_invalid",
    "offer_unknown",
    "offer_changed",
    "too_many_per_city",
    "too_many_held",
    "quantity_invalid",
    "mixed_currency",
    "items_invalid",
    "account_needed",
)
_ENDED = ("quote_unknown", "quote_used", "quote_expired", "account_needed")


@ROUTES.post("/v1/quotes", {201: Quote}, who=Who.BUYER, key=Key.REQUIRED, refuses=HOLDING)
def make_quote(body: QuoteBody) -> tuple[Any, int]:
    """Hold numbers and say what they cost"""
    return created(order("inventory", "hold_numbers", items=items_of(body)))


@ROUTES.get("/v1/quotes/<quote_id>", Quote, refuses=("quote_unknown",))
def get_quote(path: QuotePath) -> Any:
    """A quote"""
    return without_position(ask("inventory", "get_hold", hold_id=path.quote_id))


@ROUTES.post("/v1/quotes/<quote_id>/extend", {200: Quote}, who=Who.BUYER, refuses=_ENDED)
def extend_quote(path: QuotePath, body: Nothing) -> Any:  # noqa: ARG001  # Only that it is empty.
    """Hold the numbers longer"""
    return order("inventory", "extend_hold", hold_id=path.quote_id)


@ROUTES.delete("/v1/quotes/<quote_id>", {200: Quote}, who=Who.BUYER, refuses=_ENDED)
def release_quote(path: QuotePath) -> Any:
    """Give the numbers back"""
    return order("inventory", "release_hold", hold_id=path.quote_id)


def items_of(body: Any) -> list[dict[str, Any]]:
    """The items as services take them: an offer with a quantity, or a number."""
    return [_item(item) for item in body.items or ()]


def _item(item: Any) -> dict[str, Any]:
    # With both named, both are handed on: the rule that forbids it is inventory's.
    found: dict[str, Any] = item.model_dump(exclude_none=True)
    if "offer_id" not in found:
        found.pop("quantity", None)
    return found

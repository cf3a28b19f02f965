"""The account's numbers: the list with its filters, and one number with what is known of it."""

from __future__ import annotations

from typing import Any

from flask import request

from services.gateway.pages.choices import countries, statuses, types
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import with_query
from services.gateway.pages.rendering import page
from services.gateway.surroundings import ask, passing_over
from shared.phone import TYPES

PAGES = Pages()
STATUSES = (
    "active",
    "pending_compliance",
    "porting",
    "suspended",
    "cancelling",
    "released",
    "failed",
)
_PAGE = 50
_FILTERS = ("q", "status", "type", "country", "label", "sms")


@PAGES.get("/numbers")
def show_numbers() -> Answer:
    """The list, newest first. Filters and place stand in the address."""
    wanted = {name: request.args.get(name, "").strip() for name in _FILTERS}
    found = ask("orders", "list_numbers", **_arguments(wanted))
    filtered = any(wanted.values())
    return page(
        "numbers/numbers.html",
        wanted=wanted,
        filtered=filtered,
        rows=found["data"],
        next_page=_next(wanted, found["next"]),
        first_page="after" in request.args,
        type_choices=types(TYPES),
        status_choices=statuses(STATUSES),
        country_choices=countries(ask("inventory", "list_countries")),
    )


@PAGES.get("/numbers/<number>")
def show_number(number: str) -> Answer:
    """One number, by E.164 or id. Raises ``number_unknown``."""
    found = ask("orders", "get_number", number_or_num_id=number)
    # Routing is set up right after the purchase, so for a moment it may not be there yet.
    route = passing_over("number_unknown")(
        lambda: ask("routing", "get_route", number_or_num_id=found["num_id"])
    )
    return page("numbers/number.html", number=found, route=route or {})


def _arguments(wanted: dict[str, str]) -> dict[str, Any]:
    choices = {"status": STATUSES, "type": TYPES, "sms": ("1", "0")}
    named: dict[str, Any] = {name: value for name, value in wanted.items() if value}
    for name, allowed in choices.items():
        if named.get(name) not in allowed:
            named.pop(name, None)
    if "sms" in named:
        named["sms"] = named["sms"] == "1"
    return named | {"limit": _PAGE, "after": request.args.get("after") or None}


def _next(wanted: dict[str, str], after: str | None) -> str | None:
    return with_query("/numbers", **wanted, after=after) if after else None

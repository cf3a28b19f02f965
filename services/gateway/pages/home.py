"""The address without a path."""

from __future__ import annotations

from flask import current_app, g, request, session
from werkzeug.wrappers import Response

from services.gateway.identity import Who, who_may_call
from services.gateway.pages.declare import Pages
from services.gateway.pages.paths import HOME, go
from services.gateway.surroundings import require
from shared.rpc import STAFF

PAGES = Pages()
_OF_CUSTOMERS = frozenset({Who.MEMBER, Who.OWNER, Who.BUYER})


@PAGES.get("/", Who.ANYONE)
def show_home() -> Response:
    """The list of numbers is where everything begins; for staff the back office."""
    row = getattr(session, "row", None)
    staff = row is not None and row.role == STAFF and row.seen_account is None
    return go("/office" if staff else HOME)


def lead_staff_home() -> Response | None:
    """Staff that sees as nobody has no customer's pages: they would show what belongs to all
    accounts, and nobody would have written down who looked. Before every page."""
    caller = g.get("caller")
    who = who_may_call(current_app.view_functions[request.endpoint or ""])
    by_itself = caller is not None and caller.staff and not caller.acting
    if not by_itself or who not in _OF_CUSTOMERS or request.method != "GET":
        return None
    # A list that was left open asks by itself, and must not be filled with something else.
    require("Pbx-Background" not in request.headers, "account_needed")
    return go("/office")

"""The address without a path."""

from __future__ import annotations

from flask import session
from werkzeug.wrappers import Response

from services.gateway.identity import Who
from services.gateway.pages.declare import Pages
from services.gateway.pages.paths import HOME, go
from shared.rpc import STAFF

PAGES = Pages()


@PAGES.get("/", Who.ANYONE)
def show_home() -> Response:
    """The list of numbers is where everything begins; for staff the back office."""
    row = getattr(session, "row", None)
    staff = row is not None and row.role == STAFF and row.seen_account is None
    return go("/office" if staff else HOME)

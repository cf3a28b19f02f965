"""The address without a path."""

from __future__ import annotations

from werkzeug.wrappers import Response

from services.gateway.identity import Who
from services.gateway.pages.declare import Pages
from services.gateway.pages.paths import HOME, go

PAGES = Pages()


@PAGES.get("/", Who.ANYONE)
def show_home() -> Response:
    """The list of numbers is where everything begins."""
    return go(HOME)

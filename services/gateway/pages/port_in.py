"""Bringing numbers from another carrier: what will be needed. The form itself follows."""

from __future__ import annotations

from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.rendering import page

PAGES = Pages()


@PAGES.get("/port-in")
def show_port_in() -> Answer:
    """Says that it follows, and what to have ready."""
    return page("port_in/port_in.html")

"""One number with what is known of it. Its parts that can be edited will be tabs of this page."""

from __future__ import annotations

from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.rendering import page
from services.gateway.surroundings import ask

PAGES = Pages()


@PAGES.get("/numbers/<number>")
def show_number(number: str) -> Answer:
    """One number, by E.164 or id. Raises ``number_unknown``."""
    return page("number/number.html", number=ask("orders", "get_number", number_or_num_id=number))

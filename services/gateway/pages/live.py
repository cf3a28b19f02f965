"""Whether the list that somebody has open is still what it was (docs/adr/0011-live-rows.md)."""

from __future__ import annotations

from flask import Response, request

from services.gateway.pages.declare import Answer, Pages
from services.gateway.surroundings import ask

PAGES = Pages()
_NOTHING_NEW = 204


@PAGES.get("/numbers/changes")
def show_changes() -> Answer:
    """204 as long as nothing has changed since ``after``, else 200 with what to ask with next.
    It waits for nothing, so that a page that is open holds no thread."""
    change = ask("orders", "last_change")
    if change == request.args.get("after"):
        return Response(status=_NOTHING_NEW)
    return Response(change, content_type="text/plain; charset=utf-8")

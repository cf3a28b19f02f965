"""Mails that a sandbox does not send: to read, and to follow their links."""

from __future__ import annotations

from flask import request

from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.office.common import office_page, require_sandbox
from services.gateway.pages.paths import with_query
from services.gateway.problems import read
from services.gateway.routes import outbox as api
from services.gateway.schemas.common import Paging

PAGES = Pages()
_PAGE = 20


@PAGES.get("/office/outbox", Who.STAFF)
def show_outbox() -> Answer:
    """Newest first."""
    require_sandbox()
    after = request.args.get("after") or None
    found = api.list_outbox(read(Paging, limit=_PAGE, cursor=after))
    following = found["next_cursor"]
    return office_page(
        "office/outbox.html",
        "outbox",
        mails=found["data"],
        next_page=with_query("/office/outbox", after=following) if following else None,
        first_page=after is not None,
    )

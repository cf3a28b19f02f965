"""Mails that would be sent: to read in sandbox, where none is."""

from __future__ import annotations

from typing import Any

from services.gateway import mail
from services.gateway.declare import Routes
from services.gateway.identity import Who
from services.gateway.routes.users import instant
from services.gateway.schemas.common import Paging, page
from services.gateway.schemas.people import Mails
from services.gateway.surroundings import gateway
from shared.refusals import refusal

ROUTES = Routes("Outbox", "Mails on their way out; sandbox only.")


@ROUTES.get("/v1/outbox", Mails, who=Who.STAFF, sandbox_only=True, refuses=("invalid_cursor",))
def list_outbox(query: Paging) -> dict[str, Any]:
    """Mails, newest first"""
    before = _number(query.cursor)
    found = mail.newest(gateway().state, gateway().wrapper, query.limit + 1, before)
    data, more = found[: query.limit], len(found) > query.limit
    cursor = str(data[-1]["n"]) if more else None
    return page({"data": [_shown(one) for one in data], "next": cursor})


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isdecimal() or not cursor.isascii() or len(cursor) > 18:  # noqa: PLR2004  # 64 bits.
        raise refusal("invalid_cursor", param="cursor")
    return int(cursor)


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    sent = found["sent_at"]
    shown = {
        **found,
        "created_at": instant(found["created_at"]),
        "sent_at": instant(sent) if sent else None,
    }
    del shown["n"]
    return shown

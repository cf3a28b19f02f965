"""See as: staff looks at the pages as an account sees them, and changes nothing meanwhile."""

from __future__ import annotations

from flask import g, session

from services.gateway import looking
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import HOME, go
from services.gateway.surroundings import ask, gateway, require

PAGES = Pages()


@PAGES.post("/office/accounts/<account_id>/look", Who.STAFF)
def begin_look(account_id: str) -> Answer:
    """From now on this session sees as the account."""
    require(g.caller.by == "session", "role_required")
    ask("billing", "get_account", account_id=account_id)
    row = session.row  # type: ignore[attr-defined]  # Ours: services/gateway/sessions.py.
    looking.begin(gateway().state, row, account_id, gateway().now())
    return go(HOME)


@PAGES.post("/office/look/stop", Who.LEAVING)
def stop_look() -> Answer:
    """The session is staff's own again. Without a look there is nothing to end."""
    row = getattr(session, "row", None)
    if not g.caller.looking or row is None:
        return go("/")
    with gateway().state.write() as connection:
        looking.end(connection, row.hash, gateway().now())
    return go(f"/office/accounts/{g.caller.account_id}")

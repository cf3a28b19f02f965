"""Links that work once: invitations (7 days) and password resets (1 hour). Stored hashed."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, Delete, delete, insert, select

from services.gateway.state import hashed, run
from services.gateway.state import token as table
from shared.refusals import refusal
from shared.stores import Store

INVITATION = "invitation"
PASSWORD_RESET = "password_reset"  # nosec B105  # A kind of link, no password.
_SECONDS = {INVITATION: 7 * 24 * 3600, PASSWORD_RESET: 3600}


def issue(connection: Connection, kind: str, user_id: str | None, now: int) -> str:
    """A new link's secret. Earlier ones of the same kind for the same user stop working."""
    secret = secrets.token_urlsafe(32)
    if user_id is not None:
        connection.execute(_of(kind, user_id))
    values = {"kind": kind, "user_id": user_id, "expires_at": now + _SECONDS[kind]}
    connection.execute(insert(table).values(hash=hashed(secret), **values))
    return secret


def user_of(connection: Connection, kind: str, secret: str, now: int) -> str:
    """Whose link it is. Raises ``token_invalid`` if it was used, has expired or never was."""
    query = select(table.c.user_id).where(
        (table.c.hash == hashed(secret)) & (table.c.kind == kind) & (table.c.expires_at > now)
    )
    user_id = connection.execute(query).scalar()
    if user_id is None:
        raise refusal("token_invalid")
    return str(user_id)


def spend(connection: Connection, kind: str, secret: str, now: int) -> str:
    """Like ``user_of``, and the link stops working with the caller's transaction."""
    user_id = user_of(connection, kind, secret, now)
    connection.execute(delete(table).where(table.c.hash == hashed(secret)))
    return user_id


def forget(connection: Connection, user_id: str) -> None:
    """Ends every link of a user."""
    connection.execute(delete(table).where(table.c.user_id == user_id))


def sweep(state: Store, now: int) -> int:
    """Deletes links past their life; says how many."""
    return run(state, delete(table).where(table.c.expires_at <= now))


def _of(kind: str, user_id: str) -> Delete:
    return delete(table).where((table.c.user_id == user_id) & (table.c.kind == kind))

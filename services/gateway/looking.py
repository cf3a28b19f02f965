"""Staff that sees the pages as an account does: who looked at whom, from when until when.

A look belongs to a session and lies here, on our side: no cookie says it. It ends with "Stop",
with signing out, or with the session. Who looked stays written for a year.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from services.gateway.state import look as table
from services.gateway.state import rows
from services.gateway.state import session as session_table
from shared import logging
from shared.stores import Store

_log = logging.logger("looking")
KEPT_SECONDS = 366 * 24 * 3600


def begin(state: Store, session: Row[Any], account_id: str, now: int) -> None:
    """From now on the session sees as the account; one that saw as another ends that."""
    values = {"user_id": session.user_id, "email": session.email, "account_id": account_id}
    with state.write() as connection:
        end(connection, session.hash, now)
        connection.execute(insert(table).values(session=session.hash, began_at=now, **values))
    _log.info("account_looked_at", user=session.user_id, account=account_id)


def end(connection: Connection, session: bytes, now: int) -> None:
    """The session sees as itself again, as part of the caller's transaction."""
    found = connection.execute(select(table).where(lasts(session))).first()
    if found is None:
        return
    connection.execute(update(table).where(lasts(session)).values(ended_at=now))
    _log.info("account_look_ended", user=found.user_id, account=found.account_id)


def lasts(session: Any) -> Any:
    """The condition that finds what a session sees as."""
    return (table.c.session == session) & table.c.ended_at.is_(None)


def of_account(state: Store, account_id: str, limit: int) -> list[Row[Any]]:
    """Who looked at an account, the newest first; a look lasts no longer than its session."""
    query = (
        select(table, session_table.c.hash.is_not(None).label("session_there"))
        .outerjoin(session_table, session_table.c.hash == table.c.session)
        .where(table.c.account_id == account_id)
        .order_by(table.c.n.desc())
    )
    return rows(state, query.limit(limit))


def sweep(state: Store, now: int) -> int:
    """Ends looks whose session is over and forgets old ones; says how many were forgotten."""
    gone = table.c.ended_at.is_(None) & table.c.session.not_in(select(session_table.c.hash))
    old = delete(table).where(table.c.began_at < now - KEPT_SECONDS)
    with state.write() as connection:
        connection.execute(update(table).where(gone).values(ended_at=now))
        return int(connection.execute(old).rowcount)

"""Sessions of browsers: an id of 256 random bits in a cookie, its hash and everything else here.

Idle 30 minutes and at most 12 hours, by machine time. The id changes at login; logout ends the
session on our side. Flask's ``session`` shows the row, so that Flask-WTF's CSRF token lives in it.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin
from sqlalchemy import Row, bindparam, delete, insert, not_, or_, select, update

from services.gateway import looking
from services.gateway.state import first, hashed, look, rows, run
from services.gateway.state import session as table
from services.gateway.state import user as user_table
from shared.clock import Clock
from shared.errors import Unavailable
from shared.stores import Store

IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
_TOUCH_SECONDS = 60
_ID_BYTES = 32
# What a page asks by itself keeps no session alive: else one that stays open would never end.
BACKGROUND = "Pbx-Background"


class ServerSession(dict[str, Any], SessionMixin):
    """What Flask knows of a session: the CSRF token. ``row`` joins session and user, if any."""

    def __init__(self, row: Row[Any] | None = None) -> None:
        super().__init__({} if row is None else {"csrf_token": row.csrf})
        self.row = row


class ServerSessions(SessionInterface):
    """Opens the session that the cookie names. Nothing is written for strangers."""

    def __init__(self, state: Store, machine: Clock, *, https: bool) -> None:
        self._state = state
        self._machine = machine
        self._https = https
        # The prefix binds the cookie to this host and to https (RFC 6265bis, section 4.1.3.2).
        self.cookie = "__Host-pbxim" if https else "pbxim"

    def open_session(self, app: Flask, request: Request) -> ServerSession:  # noqa: ARG002  # Flask's.
        """The session of a request; an empty one without a valid cookie."""
        name = request.cookies.get(self.cookie)
        by_person = BACKGROUND not in request.headers
        return ServerSession(self._find(name, touch=by_person) if name else None)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing to do: login and logout write rows and cookies themselves."""

    def begin(self, user_id: str, response: Response, old: str | None) -> str:
        """Starts a session under a new id and ends the old one; answers the raw CSRF token."""
        name, csrf = secrets.token_urlsafe(_ID_BYTES), secrets.token_urlsafe(_ID_BYTES)
        now = self._now()
        row = {"user_id": user_id, "csrf": csrf, "created_at": now, "seen_at": now}
        with self._state.write() as connection:
            looking.end(connection, hashed(old or ""), now)
            connection.execute(delete(table).where(table.c.hash == hashed(old or "")))
            connection.execute(insert(table).values(hash=hashed(name), **row))
        self._set_cookie(response, name, LONGEST_SECONDS)
        return csrf

    def end(self, name: str | None, response: Response) -> None:
        """Ends a session for good."""
        ended = hashed(name or "")
        with self._state.write() as connection:
            looking.end(connection, ended, self._now())
            connection.execute(delete(table).where(table.c.hash == ended))
        self._set_cookie(response, "", 0)

    def _set_cookie(self, response: Response, name: str, age: int) -> None:
        response.set_cookie(
            self.cookie,
            name,
            max_age=age,
            path="/",
            secure=self._https,
            httponly=True,
            samesite="Lax",
        )

    def _find(self, name: str, *, touch: bool) -> Row[Any] | None:
        now = self._now()
        since = {"seen": now - IDLE_SECONDS, "created": now - LONGEST_SECONDS}
        row = first(self._state, _alive, wanted=hashed(name), **since)
        if touch and row is not None and now - row.seen_at >= _TOUCH_SECONDS:
            self._touch(row, now)
        return row

    def _touch(self, row: Row[Any], now: int) -> None:
        # Whoever only reads goes on while nothing can be written.
        with contextlib.suppress(Unavailable):
            run(self._state, update(table).where(table.c.hash == row.hash).values(seen_at=now))

    def _now(self) -> int:
        return int(self._machine.now().timestamp())


# Made once: it is part of every page.
_alive = (
    select(table, user_table.c.account_id, user_table.c.role, user_table.c.email)
    .add_columns((user_table.c.totp_secret.is_not(None)).label("has_totp"))
    .add_columns(look.c.account_id.label("seen_account"))
    .join(user_table, user_table.c.id == table.c.user_id)
    .outerjoin(look, looking.lasts(table.c.hash))
    .where(table.c.hash == bindparam("wanted"))
    .where(table.c.seen_at > bindparam("seen"))
    .where(table.c.created_at > bindparam("created"))
)


def end_all(user_id: str) -> Any:
    """The statement that ends every session of a user."""
    return delete(table).where(table.c.user_id == user_id)


def end_others(user_id: str, kept: bytes) -> Any:
    """The statement that ends every session of a user but the one with this hash."""
    return end_all(user_id).where(table.c.hash != kept)


def open_of(state: Store, user_id: str, now: int) -> list[Row[Any]]:
    """The sessions of a user that are not over, the latest first."""
    mine = select(table).where((table.c.user_id == user_id) & not_(_over(now)))
    return rows(state, mine.order_by(table.c.seen_at.desc(), table.c.hash))


def sweep(state: Store, now: int) -> int:
    """Deletes sessions that are over; says how many."""
    return run(state, delete(table).where(_over(now)))


def _over(now: int) -> Any:
    return or_(table.c.seen_at <= now - IDLE_SECONDS, table.c.created_at <= now - LONGEST_SECONDS)

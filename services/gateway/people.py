"""Users: invited by mail, with one role in one account. E-mails are compared in lower case."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.gateway import mail, passwords, sessions, tokens
from services.gateway.state import first, rows
from services.gateway.state import user as table
from shared.refusals import refusal
from shared.rpc import OWNER
from shared.sealing import Wrapper
from shared.stores import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """Somebody to invite."""

    id: str
    account_id: str
    email: str
    name: str
    role: str


class People:
    """The users of the installation. Times are machine time in seconds since 1970."""

    def __init__(
        self,
        state: Store,
        wrapper: Wrapper,
        public_url: str,
        places: threading.BoundedSemaphore,
    ) -> None:
        self._state = state
        self._wrapper = wrapper
        self._public_url = public_url
        self._places = places

    def invite(self, new: NewUser, now: int) -> Row[Any]:
        """Adds a user without a password and mails the link to choose one.

        Repeating it for the same user sends a new link. Raises ``email_taken``.
        """
        with self._state.write() as connection:
            self._add(connection, new, now)
            secret = tokens.issue(connection, tokens.INVITATION, new.id, now)
            text = mail.invitation(self._public_url, new.account_id, new.email, secret)
            mail.write(connection, self._wrapper, text, now)
        return self.get(new.account_id, new.id)

    def invite_by_link(self, new: NewUser, now: int) -> str:
        """As ``invite``, but nothing is mailed: the secret of the link is the answer."""
        with self._state.write() as connection:
            self._add(connection, new, now)
            return tokens.issue(connection, tokens.INVITATION, new.id, now)

    def set_password(self, kind: str, secret: str, password: str, now: int) -> Row[Any]:
        """Chooses a password by a link, which is spent; ends the user's sessions.

        Raises ``token_invalid`` and ``password_too_weak``; a weak password spends nothing.
        """
        with self._state.read() as connection:
            user_id = tokens.user_of(connection, kind, secret, now)
        user = self.by_id(user_id)
        passwords.check_rule(password, user.email, user.name)
        hash_ = passwords.hash_password(password, self._places)
        with self._state.write() as connection:
            tokens.spend(connection, kind, secret, now)
            tokens.forget(connection, user_id)
            connection.execute(sessions.end_all(user_id))
            connection.execute(_user(user_id, update(table)).values(password_hash=hash_))
        return self.by_id(user_id)

    def change_password(
        self, user: Row[Any], current: str, password: str, kept: bytes, now: int
    ) -> None:
        """Chooses another password by the one that holds, and mails that it was changed. Links end,
        and sessions but the one with the hash ``kept``.

        Raises ``credentials_wrong`` and ``password_too_weak``.
        """
        if not passwords.fits(user.password_hash, current, self._places):
            raise refusal("credentials_wrong", param="current_password")
        passwords.check_rule(password, user.email, user.name)
        hash_ = passwords.hash_password(password, self._places)
        with self._state.write() as connection:
            tokens.forget(connection, user.id)
            connection.execute(sessions.end_others(user.id, kept))
            connection.execute(_user(user.id, update(table)).values(password_hash=hash_))
            text = mail.password_changed(self._public_url, user.account_id, user.email)
            mail.write(connection, self._wrapper, text, now)

    def ask_reset(self, email: str, now: int) -> None:
        """Mails a link to choose a new password, if there is such a user.

        For a stranger as much is written, so that the answer takes as long.
        """
        user = self.by_email(email)
        with self._state.write() as connection:
            known = user is not None and user.password_hash is not None
            secret = tokens.issue(
                connection, tokens.PASSWORD_RESET, user.id if known and user else None, now
            )
            if user is not None and known:
                text = mail.password_reset(self._public_url, user.account_id, user.email, secret)
                mail.write(connection, self._wrapper, text, now)

    def check_password(self, email: str, password: str) -> Row[Any]:
        """The user with this e-mail and password. Raises ``credentials_wrong``, in equal time."""
        user = self.by_email(email)
        stored = None if user is None else user.password_hash
        if not passwords.fits(stored, password, self._places) or user is None:
            raise refusal("credentials_wrong")
        return user

    def get(self, account_id: str, user_id: str) -> Row[Any]:
        """A user of an account. Raises ``user_unknown``."""
        user = first(self._state, _user(user_id, select(table)))
        if user is None or user.account_id != account_id:
            raise refusal("user_unknown")
        return user

    def by_email(self, email: str) -> Row[Any] | None:
        """The user with this e-mail, if there is one."""
        return first(self._state, select(table).where(table.c.email == email.strip().lower()))

    def of(self, account_id: str) -> list[Row[Any]]:
        """All users of an account, newest first."""
        newest = (table.c.created_at.desc(), table.c.id)
        return rows(
            self._state, select(table).where(table.c.account_id == account_id).order_by(*newest)
        )

    def remove(self, account_id: str, user_id: str) -> None:
        """Deletes a user with sessions and links. Raises ``user_unknown`` and ``last_owner``."""
        user = self.get(account_id, user_id)
        with self._state.write() as connection:
            if user.role == OWNER:
                _check_other_owner(connection, user)
            connection.execute(sessions.end_all(user_id))
            tokens.forget(connection, user_id)
            connection.execute(_user(user_id, delete(table)))

    def by_id(self, user_id: str) -> Row[Any]:
        """A user of any account. Raises ``token_invalid`` when there is none any more."""
        user = first(self._state, _user(user_id, select(table)))
        if user is None:
            raise refusal("token_invalid")
        return user

    def _add(self, connection: Connection, new: NewUser, now: int) -> None:
        found = connection.execute(_user(new.id, select(table.c.id))).first()
        if found is not None:
            return
        values = {
            "id": new.id,
            "account_id": new.account_id,
            "email": new.email.strip().lower(),
            "name": new.name,
            "role": new.role,
            "created_at": now,
        }
        try:
            connection.execute(insert(table).values(values))
        except IntegrityError:
            raise refusal("email_taken", param="email") from None


def _user(user_id: str, statement: Any) -> Any:
    return statement.where(table.c.id == user_id)


def _check_other_owner(connection: Connection, user: Row[Any]) -> None:
    owners = (
        select(func.count())
        .select_from(table)
        .where((table.c.account_id == user.account_id) & (table.c.role == OWNER))
    )
    if connection.execute(owners).scalar_one() <= 1:
        raise refusal("last_owner")

"""The second factor of a user: enrolled in two steps, each code used once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, update

from services.gateway import totp
from services.gateway.state import run
from services.gateway.state import user as table
from shared.refusals import refusal
from shared.sealing import Wrapper
from shared.stores import Store


def enrol(state: Store, wrapper: Wrapper, user: Row[Any]) -> str:
    """A new secret that is not in force before ``confirm``. Raises ``totp_enrolled`` for who has
    one: otherwise a session that somebody left open would be enough to replace it."""
    secret = totp.new_secret()
    without = _user(user).where(table.c.totp_secret.is_(None))
    if not run(state, without.values(totp_pending=wrapper.wrap(user.id, secret.encode()))):
        raise refusal("totp_enrolled")
    return secret


def pending(wrapper: Wrapper, user: Row[Any]) -> str | None:
    """The secret that waits for its first code; ``None`` where none does."""
    return None if user.totp_pending is None else _secret(wrapper, user.id, user.totp_pending)


def confirm(state: Store, wrapper: Wrapper, user: Row[Any], code: str, now: int) -> None:
    """Puts the new secret in force by its first code. Raises ``totp_wrong``."""
    secret = pending(wrapper, user)
    counter = None if secret is None else totp.counter_of(secret, code, now)
    if counter is None:
        raise refusal("totp_wrong", param="code")
    values = {"totp_secret": user.totp_pending, "totp_pending": None, "totp_used": counter}
    run(state, _user(user).values(values))


def check(state: Store, wrapper: Wrapper, user: Row[Any], code: str | None, now: int) -> None:
    """At login. Raises ``totp_required`` without a code, ``totp_wrong`` for one that is wrong or
    was used before. Passes for users without a second factor."""
    if user.totp_secret is None:
        return
    if not code:
        raise refusal("totp_required", param="totp")
    counter = totp.counter_of(_secret(wrapper, user.id, user.totp_secret), code, now)
    if counter is None or not _use(state, user, counter):
        raise refusal("totp_wrong", param="totp")


def remove(state: Store, wrapper: Wrapper, user: Row[Any], code: str, now: int) -> None:
    """Takes the second factor away; needs one of its codes. Raises ``totp_wrong``."""
    check(state, wrapper, user, code, now)
    run(state, _user(user).values(totp_secret=None, totp_pending=None))


def _use(state: Store, user: Row[Any], counter: int) -> bool:
    # One statement, so that of two logins with one code only one gets in (RFC 6238, section 5.2).
    unused = _user(user).where(table.c.totp_used < counter)
    return run(state, unused.values(totp_used=counter)) == 1


def _user(user: Row[Any]) -> Any:
    return update(table).where(table.c.id == user.id)


def _secret(wrapper: Wrapper, user_id: str, wrapped: bytes) -> str:
    return wrapper.unwrap(user_id, wrapped).decode()

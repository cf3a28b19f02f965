"""API keys: 256 random bits, shown once, stored as SHA-256, rotated and revoked at will."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Row, insert, select, update

from services.gateway.identity import KEY_PREFIX
from services.gateway.state import api_key as table
from services.gateway.state import first, hashed, rows
from shared.refusals import refusal
from shared.stores import Store

_BYTES = 32
_HINT = 4


def make(  # The columns of a key.
    state: Store, key_id: str, *, account_id: str, role: str, name: str, now: int
) -> str:
    """A new key's secret. Repeated for the same id it is another one: the first was not shown."""
    secret = _new_secret()
    row = {"account_id": account_id, "role": role, "name": name, "created_at": now}
    with state.write() as connection:
        known = connection.execute(select(table.c.id).where(table.c.id == key_id)).first()
        if known is None:
            connection.execute(insert(table).values(id=key_id, **row, **_stored(secret)))
        else:
            connection.execute(_key(key_id).values(**_stored(secret)))
    return secret


def rotate(state: Store, account_id: str, key_id: str, now: int) -> str:
    """A new secret for a key; the old one stops working. Raises ``key_unknown``."""
    get(state, account_id, key_id)
    secret = _new_secret()
    with state.write() as connection:
        connection.execute(_key(key_id).values(rotated_at=now, **_stored(secret)))
    return secret


def revoke(state: Store, account_id: str, key_id: str, now: int) -> None:
    """Ends a key for good. Raises ``key_unknown``."""
    get(state, account_id, key_id)
    with state.write() as connection:
        connection.execute(_key(key_id).values(revoked_at=now))


def get(state: Store, account_id: str, key_id: str) -> Row[Any]:
    """A valid key of an account, without its secret. Raises ``key_unknown``."""
    found = first(state, select(table).where((table.c.id == key_id) & _valid(account_id)))
    if found is None:
        raise refusal("key_unknown")
    return found


def of(state: Store, account_id: str) -> list[Row[Any]]:
    """The valid keys of an account, newest first."""
    query = select(table).where(_valid(account_id))
    return rows(state, query.order_by(table.c.created_at.desc(), table.c.id))


def _new_secret() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(_BYTES)


def _stored(secret: str) -> dict[str, Any]:
    return {"hash": hashed(secret), "hint": f"{KEY_PREFIX}…{secret[-_HINT:]}"}


def _key(key_id: str) -> Any:
    return update(table).where(table.c.id == key_id)


def _valid(account_id: str) -> Any:
    return (table.c.account_id == account_id) & table.c.revoked_at.is_(None)

"""The gateway's own tables in the ``state`` store: what must not be lost and is in no event.

Users, sessions, API keys, invitations, idempotency answers, mails. Times are whole seconds of
machine time since 1970. Secrets are kept as SHA-256 (random ones), argon2id (passwords) or
encrypted with the installation's key (what has to be read again).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    insert,
    select,
)

from shared.stores import Store

TABLES = MetaData()

user = Table(
    "gateway_user",
    TABLES,
    Column("id", String, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("email", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("password_hash", String),  # NULL: invited, has not chosen one yet.
    Column("totp_secret", LargeBinary),
    Column("totp_pending", LargeBinary),
    Column("totp_used", BigInteger, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
)

api_key = Table(
    "gateway_api_key",
    TABLES,
    Column("id", String, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("role", String, nullable=False),
    Column("name", String, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("hint", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("rotated_at", BigInteger),
    Column("revoked_at", BigInteger),
)

session = Table(
    "gateway_session",
    TABLES,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", String, nullable=False, index=True),
    Column("csrf", String, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("seen_at", BigInteger, nullable=False, index=True),
)

look = Table(
    "gateway_look",
    TABLES,
    Column("n", Integer, primary_key=True),
    Column("session", LargeBinary, nullable=False, index=True),  # The session's hash.
    Column("user_id", String, nullable=False),
    Column("email", String, nullable=False),
    Column("account_id", String, nullable=False, index=True),
    Column("began_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # NULL: lasts until the session ends.
)

token = Table(
    "gateway_token",
    TABLES,
    Column("hash", LargeBinary, primary_key=True),
    Column("kind", String, nullable=False),  # invitation | password_reset
    Column("user_id", String),  # NULL: nobody; written so that both cases take as long.
    Column("expires_at", BigInteger, nullable=False, index=True),
)

idempotency = Table(
    "gateway_idempotency",
    TABLES,
    Column("account_id", String, primary_key=True),
    Column("route", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("running_until", BigInteger, nullable=False),
    Column("answer", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Index("gateway_idempotency_age", "created_at"),
)

outbox = Table(
    "gateway_outbox",
    TABLES,
    Column("n", Integer, primary_key=True),  # In the order they were written.
    Column("id", String, nullable=False, unique=True),
    Column("account_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("mail", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("sent_at", BigInteger),
)

_secret = Table(
    "gateway_secret",
    TABLES,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)


def hashed(secret: str) -> bytes:
    """SHA-256: enough for a secret of 128 random bits or more, which nobody can try out."""
    return hashlib.sha256(secret.encode()).digest()


def signing_key(state: Store) -> str:
    """The key that signs CSRF tokens: random, made once per installation."""
    wanted = select(_secret.c.value).where(_secret.c.name == "signing")
    with state.write() as connection:
        found = connection.execute(wanted).scalar()
        if found is None:
            found = secrets.token_urlsafe(32)
            connection.execute(insert(_secret).values(name="signing", value=found))
    return str(found)


def first(state: Store, query: Any, **wanted: Any) -> Row[Any] | None:
    """The first row of a query, with the values of its parameters."""
    return next(iter(state.ask(query, wanted)), None)


def rows(state: Store, query: Any) -> list[Row[Any]]:
    """All rows of a query."""
    return list(state.ask(query))


def run(state: Store, statement: Any) -> int:
    """Runs one statement in its own transaction; says how many rows it changed."""
    with state.write() as connection:
        return int(connection.execute(statement).rowcount)

"""Mails on their way out. They are written in the transaction that causes them and sent later.

At rest a mail is encrypted with the installation's key: it holds an address and a one-time link.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from services.gateway.state import outbox as table
from services.gateway.state import rows, run
from shared.ids import random_id
from shared.sealing import Wrapper
from shared.stores import Store

KEPT_SECONDS = 30 * 24 * 3600


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail. ``link`` is the address in the text, ``token`` its secret part."""

    account_id: str
    kind: str
    to: str
    subject: str
    text: str
    link: str
    token: str


def invitation_link(public_url: str, token: str) -> str:
    """Where an invited person chooses a password. It works once, for 7 days."""
    return f"{public_url}/invitations/{token}"


def invitation(public_url: str, account_id: str, to: str, token: str) -> Mail:
    """Asks somebody to choose a password. The link works once, for 7 days."""
    link = invitation_link(public_url, token)
    text = (
        "Hello,\n\nyou have been invited to PBX.IM Numbers. Choose a password within 7 days:\n\n"
        f"{link}\n\nIf you did not expect this mail, nothing needs to be done.\n"
    )
    return Mail(
        account_id=account_id,
        kind="invitation",
        to=to,
        subject="Your invitation to PBX.IM Numbers",
        text=text,
        link=link,
        token=token,
    )


def password_changed(public_url: str, account_id: str, to: str) -> Mail:
    """Tells somebody that the password was changed, in case somebody else did."""
    link = f"{public_url}/password-resets"
    text = (
        "Hello,\n\nyour password for PBX.IM Numbers was changed, and all your other sessions have "
        f"ended.\n\nIf it was not you, choose a new one at once:\n\n{link}\n"
    )
    return Mail(
        account_id=account_id,
        kind="password_changed",
        to=to,
        subject="Your password for PBX.IM Numbers was changed",
        text=text,
        link=link,
        token="",  # nosec B106  # Anybody may ask for a link there.
    )


def password_reset(public_url: str, account_id: str, to: str, token: str) -> Mail:
    """Lets somebody choose a new password. The link works once, for an hour."""
    link = f"{public_url}/password-resets/{token}"
    text = (
        "Hello,\n\nsomebody asked for a new password for this address. Choose it within an hour:"
        f"\n\n{link}\n\nIf it was not you, nothing needs to be done; your password stays.\n"
    )
    return Mail(
        account_id=account_id,
        kind="password_reset",
        to=to,
        subject="Your new password for PBX.IM Numbers",
        text=text,
        link=link,
        token=token,
    )


def write(connection: Connection, wrapper: Wrapper, mail: Mail, now: int) -> None:
    """Puts a mail into the outbox, as part of the caller's transaction."""
    mail_id = random_id("mail")
    values = {
        "id": mail_id,
        "account_id": mail.account_id,
        "kind": mail.kind,
        "mail": wrapper.wrap(mail_id, msgspec.json.encode(mail)),
        "created_at": now,
    }
    connection.execute(insert(table).values(values))


def newest(state: Store, wrapper: Wrapper, limit: int, before: int | None) -> list[dict[str, Any]]:
    """Mails, newest first, each with ``n``, its number."""
    query = select(table).order_by(table.c.n.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.n < before)
    return [_shown(wrapper, row) for row in rows(state, query)]


def unsent(state: Store, wrapper: Wrapper) -> Iterator[dict[str, Any]]:
    """Mails that no server has taken yet, oldest first."""
    query = select(table).where(table.c.sent_at.is_(None)).order_by(table.c.n)
    return (_shown(wrapper, row) for row in rows(state, query))


def mark_sent(state: Store, mail_id: str, now: int) -> None:
    """Notes that a server has taken a mail."""
    run(state, update(table).where(table.c.id == mail_id).values(sent_at=now))


def _shown(wrapper: Wrapper, row: Any) -> dict[str, Any]:
    mail = msgspec.json.decode(wrapper.unwrap(row.id, row.mail))
    return {**mail, "id": row.id, "n": row.n, "created_at": row.created_at, "sent_at": row.sent_at}


def sweep(state: Store, now: int) -> int:
    """Deletes mails past their life; says how many."""
    return run(state, delete(table).where(table.c.created_at < now - KEPT_SECONDS))

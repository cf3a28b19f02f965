"""Who is asking, and who may. Deny by default: every view says ``who``, or nobody may call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Request, session
from flask_wtf.csrf import validate_csrf
from sqlalchemy import Row, bindparam, select
from wtforms.validators import ValidationError

from services.gateway.state import api_key, first, hashed
from shared.refusals import refusal
from shared.rpc import OWNER, STAFF, VIEWER
from shared.stores import Store

F = TypeVar("F", bound=Callable[..., Any])
KEY_PREFIX = "pbx_"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MARK = "__who__"


class Who(Enum):
    """Who may call a view."""

    ANYONE = "anyone"
    SIGNED_IN = "anybody signed in"
    LEAVING = "anybody signed in, to end something"
    MEMBER = "anybody signed in, for reading"
    OWNER = "an owner, in the own account"
    BUYER = "an owner, or staff for an account"
    MANAGER = "an owner, or staff"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``account_id`` is the account acted for; staff may name another than the own.

    ``must_enrol``: staff in live mode that has no second factor yet may do nothing but get one.
    ``looking``: staff that sees the pages as an account does: a viewer of it, who changes nothing.
    """

    id: str
    account_id: str
    role: str
    by: str
    acting: bool = False
    must_enrol: bool = False
    looking: bool = False

    @property
    def staff(self) -> bool:
        """Whether the back office asks."""
        return self.role == STAFF


def may_call(who: Who) -> Callable[[F], F]:
    """Declares who may call a view."""

    def mark(view: F) -> F:
        setattr(view, _MARK, who)
        return view

    return mark


def who_may_call(view: object) -> Who | None:
    """What a view declares; ``None`` for one that declares nothing."""
    found = getattr(view, _MARK, None)
    return found if isinstance(found, Who) else None


def identify(request: Request, state: Store, *, totp_needed: bool) -> Caller | None:
    """The caller by API key, else by session; ``None`` for a stranger.

    Raises ``not_authenticated`` for a key that is not valid, and for anything but ``Bearer``.
    """
    header = request.headers.get("Authorization")
    if header is not None:
        return _by_key(header, state)
    return _by_session(getattr(session, "row", None), totp_needed=totp_needed)


def acting_for(caller: Caller, account_id: str) -> Caller:
    """Staff on behalf of an account. Raises ``staff_only`` for everybody else."""
    if account_id == caller.account_id:
        return caller
    if not caller.staff:
        raise refusal("staff_only", "Only staff may act for an account.", param="Pbx-Account")
    return replace(caller, account_id=account_id, acting=True)


def check(caller: Caller | None, who: Who) -> None:
    """Raises unless this caller may call a view for ``who``."""
    if who is Who.ANYONE:
        return
    if caller is None:
        raise refusal("not_authenticated")
    if caller.must_enrol and who not in {Who.SIGNED_IN, Who.LEAVING}:
        raise refusal("totp_enrolment_required")
    _check_role(caller, who)


def check_looking(caller: Caller | None, who: Who, method: str) -> None:
    """Raises ``looking_only`` when staff that sees as an account would change anything, be it
    its own; it may always end that, and the session."""
    if caller is None or not caller.looking or method in SAFE_METHODS:
        return
    if who not in {Who.LEAVING, Who.MEMBER}:
        raise refusal("looking_only")


def _check_role(caller: Caller, who: Who) -> None:
    if who is Who.STAFF and not caller.staff:
        raise refusal("staff_only")
    if who is Who.BUYER and caller.staff and not caller.acting:
        raise refusal("account_needed", param="Pbx-Account")
    allowed = {Who.OWNER: {OWNER}, Who.BUYER: {OWNER, STAFF}, Who.MANAGER: {OWNER, STAFF}}
    if who in allowed and caller.role not in allowed[who]:
        raise refusal("role_required")


def check_same_site(request: Request, public_url: str) -> None:
    """Raises ``csrf_failed`` for a browser's request that another site caused.

    ``Sec-Fetch-Site`` is set by the browser and no page can change it (W3C Fetch Metadata); where
    it is missing, ``Origin`` says the same.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site == "cross-site":
        raise refusal("csrf_failed", "The request came from another site.")
    origin = request.headers.get("Origin")
    own = {request.host, urlsplit(public_url).netloc}
    if site is None and origin not in {None, "null"} and urlsplit(origin or "").netloc not in own:
        raise refusal("csrf_failed", "The request came from another site.")


def check_csrf(request: Request) -> None:
    """Raises ``csrf_failed`` unless the request carries the session's CSRF token."""
    token = request.headers.get("X-CSRF-Token")
    if token is None and request.mimetype in {
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }:
        token = request.form.get("csrf_token")
    try:
        validate_csrf(token)
    except ValidationError as error:
        raise refusal("csrf_failed") from error


_valid_key = select(api_key).where(
    api_key.c.hash == bindparam("wanted"), api_key.c.revoked_at.is_(None)
)


def _by_key(header: str, state: Store) -> Caller:
    scheme, _, secret = header.partition(" ")
    row = None
    if scheme.lower() == "bearer" and secret.strip().startswith(KEY_PREFIX):
        row = first(state, _valid_key, wanted=hashed(secret.strip()))
    if row is None:
        raise refusal("not_authenticated", "The API key is unknown, revoked or malformed.")
    return Caller(id=row.id, account_id=row.account_id, role=row.role, by="key")


def _by_session(row: Row[Any] | None, *, totp_needed: bool) -> Caller | None:
    if row is None:
        return None
    # Stored beside the session, and only staff can have begun it.
    seen = row.seen_account if row.role == STAFF else None
    return Caller(
        id=row.user_id,
        account_id=seen or row.account_id,
        role=VIEWER if seen else row.role,
        by="session",
        must_enrol=totp_needed and row.role == STAFF and not row.has_totp,
        looking=seen is not None,
    )

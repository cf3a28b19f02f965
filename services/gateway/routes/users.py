"""Users of an account, and the second factor of whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import g, session

from services.gateway import second_factor, sessions, totp
from services.gateway.declare import Key, Routes, created
from services.gateway.guessing import one_try
from services.gateway.identity import Who
from services.gateway.people import NewUser, People
from services.gateway.schemas.common import Nothing, page
from services.gateway.schemas.people import (
    EndedSessions,
    NewPasswordBody,
    OpenSessions,
    TotpBody,
    TotpSecret,
    User,
    UserBody,
    UserPath,
    Users,
)
from services.gateway.state import run
from services.gateway.surroundings import STAFF_ACCOUNT, context, gateway, require
from shared.ids import derived_id
from shared.rpc import STAFF

ROUTES = Routes("Users", "Who may sign in to an account, and as what.")


@ROUTES.get("/v1/users", Users, who=Who.MEMBER)
def list_users() -> dict[str, Any]:
    """The users of the account"""
    return page({"data": [shown(u) for u in people().of(g.caller.account_id)], "next": None})


@ROUTES.post("/v1/users", {201: User}, who=Who.MANAGER, refuses=("email_taken", "staff_only"))
def invite_user(body: UserBody) -> tuple[Any, int]:
    """Invite somebody by mail"""
    check_grant(body.role)
    new = NewUser(
        id=derived_id("user", context().command_id("invite")),
        account_id=g.caller.account_id,
        email=body.email,
        name=body.name,
        role=body.role,
    )
    return created(shown(people().invite(new, gateway().now())))


@ROUTES.get("/v1/users/<user_id>", User, who=Who.MEMBER, refuses=("user_unknown",))
def get_user(path: UserPath) -> Any:
    """A user of the account"""
    return shown(people().get(g.caller.account_id, path.user_id))


@ROUTES.delete(
    "/v1/users/<user_id>",
    {204: None},
    who=Who.MANAGER,
    refuses=("user_unknown", "last_owner"),
)
def remove_user(path: UserPath) -> tuple[None, int]:
    """Remove a user; sessions end at once"""
    people().remove(g.caller.account_id, path.user_id)
    return None, 204


@ROUTES.post(
    "/v1/users/me/totp",
    {201: TotpSecret},
    who=Who.SIGNED_IN,
    refuses=("role_required", "totp_enrolled"),
)
def enrol_second_factor(body: Nothing) -> tuple[Any, int]:  # noqa: ARG001  # Only that it is empty.
    """Begin with a second factor; it counts once its first code is confirmed"""
    user = me()
    secret = second_factor.enrol(gateway().state, gateway().wrapper, user)
    return created({"secret": secret, "uri": totp.uri(secret, user.email)})


@ROUTES.post("/v1/users/me/totp/confirm", {200: User}, who=Who.SIGNED_IN, refuses=("totp_wrong",))
def confirm_second_factor(body: TotpBody) -> Any:
    """Put the second factor in force"""
    found = gateway()
    second_factor.confirm(found.state, found.wrapper, me(), body.code, found.now())
    return shown(me())


@ROUTES.post("/v1/users/me/totp/remove", {200: User}, who=Who.SIGNED_IN, refuses=("totp_wrong",))
def remove_second_factor(body: TotpBody) -> Any:
    """Take the second factor away"""
    found, user = gateway(), me()
    with one_try(user.email):
        second_factor.remove(found.state, found.wrapper, user, body.code, found.now())
    return shown(me())


@ROUTES.post(
    "/v1/users/me/password",
    {200: User},
    who=Who.SIGNED_IN,
    key=Key.IGNORED,
    refuses=("credentials_wrong", "password_too_weak", "busy"),
)
def change_password(body: NewPasswordBody) -> Any:
    """Change your password; every other session of yours ends"""
    user = me()
    with one_try(user.email):
        people().change_password(
            user, body.current_password, body.password, session_hash(), gateway().now()
        )
    return shown(me())


@ROUTES.get("/v1/users/me/sessions", OpenSessions, who=Who.SIGNED_IN, refuses=("role_required",))
def list_sessions() -> dict[str, Any]:
    """Where you are signed in: here first, then the latest"""
    found, kept = gateway(), session_hash()
    open_ones = sessions.open_of(found.state, me().id, found.now())
    data = [
        {
            "current": one.hash == kept,
            "signed_in_at": instant(one.created_at),
            "last_seen_at": instant(one.seen_at),
        }
        for one in sorted(open_ones, key=lambda one: one.hash != kept)
    ]
    return page({"data": data, "next": None})


@ROUTES.delete(
    "/v1/users/me/sessions", {200: EndedSessions}, who=Who.SIGNED_IN, refuses=("role_required",)
)
def end_other_sessions() -> dict[str, Any]:
    """Sign out everywhere else"""
    return {"ended": run(gateway().state, sessions.end_others(me().id, session_hash()))}


def people() -> People:
    """The users of this installation."""
    found = gateway()
    return People(found.state, found.wrapper, found.settings.public_url, found.hashing)


def check_grant(role: str) -> None:
    """Raises ``staff_only`` unless the caller may make somebody this."""
    among_staff = g.caller.account_id == STAFF_ACCOUNT
    allowed = among_staff == (role == STAFF)
    require(allowed, "staff_only", "Staff is made by staff, in its own account.", param="role")


def shown(user: Any) -> dict[str, Any]:
    """A user without anything secret."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "status": "active" if user.password_hash else "invited",
        "second_factor": user.totp_secret is not None,
        "created_at": instant(user.created_at),
    }


def instant(seconds: int) -> str:
    """Seconds since 1970 → RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def session_hash() -> bytes:
    """Of the session that asks. Raises ``role_required`` for an API key."""
    require(g.caller.by == "session", "role_required", "Only somebody who signed in has this.")
    return bytes(getattr(session, "row").hash)  # noqa: B009  # Ours (sessions.py), not Flask's.


def me() -> Any:
    """The user who signed in. Raises ``role_required`` for an API key."""
    session_hash()
    return people().by_id(g.caller.id)

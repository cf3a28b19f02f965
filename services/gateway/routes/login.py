"""Signing in and out. Programs send JSON; the page's form is answered with a redirection."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from flask import Response, current_app, g, redirect, request, session
from flask_wtf.csrf import generate_csrf
from pydantic import ValidationError
from sqlalchemy import Row

from services.gateway import second_factor
from services.gateway.declare import Key, Routes
from services.gateway.guessing import one_try
from services.gateway.identity import Caller, Who
from services.gateway.problems import of_validation
from services.gateway.routes.users import people
from services.gateway.schemas.people import LoginBody, Session
from services.gateway.sessions import ServerSession, ServerSessions
from services.gateway.surroundings import gateway
from shared.errors import PbxError
from shared.refusals import refusal
from shared.rpc import STAFF

ROUTES = Routes("Sessions", "Signing in with e-mail and password, for browsers.")
_SEE_OTHER = 303
_CUSTOMERS = frozenset({"/", "/numbers"})
# The form of the page is not part of the API, so the document names JSON alone.
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": LoginBody.model_json_schema()}},
}
_REFUSES = ("credentials_wrong", "totp_required", "totp_wrong", "csrf_failed", "busy")


@ROUTES.post(
    "/login", {200: Session}, who=Who.ANYONE, key=Key.IGNORED, refuses=_REFUSES, body=_BODY
)
def sign_in() -> Response:
    """Sign in; the answer sets the session cookie"""
    return _sign_in_form() if _is_form() else _sign_in_json()


@ROUTES.post("/logout", {204: None}, who=Who.LEAVING, key=Key.IGNORED)
def sign_out() -> Response:
    """End the session for good"""
    answer = cast("Response", redirect("/login", _SEE_OTHER)) if _is_form() else Response(None, 204)
    sessions().end(request.cookies.get(sessions().cookie), answer)
    return answer


@ROUTES.get("/v1/session", Session, who=Who.SIGNED_IN)
def get_session() -> dict[str, Any]:
    """Who is asking, and the CSRF token of the session"""
    caller: Caller = g.caller
    by_session = caller.by == "session"
    row = getattr(session, "row", None)
    return {
        "user_id": caller.id if by_session else None,
        "account_id": caller.account_id,
        "role": caller.role,
        "email": row.email if by_session and row is not None else None,
        "csrf_token": generate_csrf() if by_session else None,
        "must_enrol": caller.must_enrol,
    }


def check_login(body: LoginBody) -> Row[Any]:
    """The user who signs in. Raises ``rate_limited``, ``credentials_wrong``, ``totp_required``,
    ``totp_wrong``. Failures count against the e-mail and the address they come from."""
    found, email = gateway(), body.email.strip().lower()
    with one_try(email):
        user = people().check_password(email, body.password)
        second_factor.check(found.state, found.wrapper, user, body.totp, found.now())
    return user


def sessions() -> ServerSessions:
    """The sessions of this application."""
    return cast("ServerSessions", current_app.session_interface)


def _is_form() -> bool:
    return request.mimetype in {"application/x-www-form-urlencoded", "multipart/form-data"}


def _begin(user: Row[Any], answer: Response) -> str:
    old = request.cookies.get(sessions().cookie)
    csrf = sessions().begin(user.id, answer, old)
    # From here on this request belongs to the new session: its CSRF token is signed below.
    cast("ServerSession", session)["csrf_token"] = csrf
    g.pop("csrf_token", None)
    return str(generate_csrf())


def _sign_in_json() -> Response:
    if not request.is_json:
        raise refusal("unsupported_media_type", "Send JSON, or the form of the page.")
    user = check_login(_read(LoginBody.model_validate_json, request.get_data() or b"{}"))
    answer = Response(status=200, content_type="application/json")
    found = {
        "user_id": user.id,
        "account_id": user.account_id,
        "role": user.role,
        "email": user.email,
        "csrf_token": _begin(user, answer),
        "must_enrol": _must_enrol(user),
    }
    answer.set_data(msgspec.json.encode(found))
    return answer


def _must_enrol(user: Row[Any]) -> bool:
    live = not gateway().settings.sandbox
    return live and user.role == STAFF and user.totp_secret is None


def _sign_in_form() -> Response:
    form = {n: request.form.get(n) or None for n in ("email", "password", "totp")}
    target = _own_path(request.form.get("next"))
    try:
        user = check_login(_read(LoginBody.model_validate, form))
    except PbxError as error:
        back = "/login?" + urlencode({"error": error.code, "next": target})
        return cast("Response", redirect(back, _SEE_OTHER))
    answer = cast("Response", redirect(_landing(user, target), _SEE_OTHER))
    _begin(user, answer)
    return answer


def _landing(user: Row[Any], target: str) -> str:
    """Staff has no numbers of its own: it begins in the back office. Who has to set up a second
    factor does that first (``pages/you.py``)."""
    wanted = "/office" if user.role == STAFF and target in _CUSTOMERS else target
    return "/you?" + urlencode({"next": wanted}) if _must_enrol(user) else wanted


def _own_path(wanted: str | None) -> str:
    """Where to go after signing in: a path of this site, never another one."""
    path = wanted or "/"
    plain = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain and path.isprintable() and "\\" not in path else "/"


def _read(validate: Any, found: Any) -> LoginBody:
    try:
        return cast("LoginBody", validate(found))
    except ValidationError as error:
        raise of_validation(error, "body") from error

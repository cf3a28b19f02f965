"""Choosing a password: by the link of an invitation, or of a reset that somebody asked for."""

from __future__ import annotations

from flask import request

from services.gateway import tokens
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go
from services.gateway.pages.rendering import page
from services.gateway.routes.users import people
from services.gateway.surroundings import gateway
from shared.errors import PbxError

PAGES = Pages()
_UNPROCESSABLE = 422


@PAGES.get("/invitations/<token>", Who.ANYONE)
def show_invitation(token: str) -> Answer:
    """Where the link of an invitation leads."""
    return _form("invitation", tokens.INVITATION, token)


@PAGES.post("/invitations/<token>", Who.ANYONE)
def accept_invitation(token: str) -> Answer:
    """Sets the first password."""
    return _set_password("invitation", tokens.INVITATION, token)


@PAGES.get("/password-resets/<token>", Who.ANYONE)
def show_reset(token: str) -> Answer:
    """Where the link of a reset leads."""
    return _form("reset", tokens.PASSWORD_RESET, token)


@PAGES.post("/password-resets/<token>", Who.ANYONE)
def reset_password(token: str) -> Answer:
    """Sets a new password; all sessions of the user end."""
    return _set_password("reset", tokens.PASSWORD_RESET, token)


@PAGES.get("/password-resets", Who.ANYONE)
def show_forgotten() -> Answer:
    """Asks for the e-mail; afterwards says the same whether there is such a user or not."""
    return page("welcome/forgotten.html", asked="asked" in request.args)


@PAGES.post("/password-resets", Who.ANYONE)
def ask_reset() -> Answer:
    """Sends the link, if there is such a user."""
    email = request.form.get("email", "").strip().lower()
    gateway().limits.password_reset(email, request.remote_addr or "")
    people().ask_reset(email, gateway().now())
    return go("/password-resets", asked="1")


def _form(kind: str, token_kind: str, token: str) -> Answer:
    with gateway().state.read() as connection:
        tokens.user_of(connection, token_kind, token, gateway().now())
    return page("welcome/password.html", kind=kind, problem=None)


def _set_password(kind: str, token_kind: str, token: str) -> Answer:
    password = request.form.get("password", "")
    if password != request.form.get("repeat", ""):
        return _again(kind, {"field": "repeat", "name": "welcome.differ", "detail": ""})
    try:
        people().set_password(token_kind, token, password, gateway().now())
    except PbxError as error:
        if error.code != "password_too_weak":
            raise
        return _again(kind, {"field": "password", "name": "", "detail": error.detail})
    return go("/login", chosen="1")


def _again(kind: str, problem: dict[str, str]) -> Answer:
    answer = page("welcome/password.html", _UNPROCESSABLE, kind=kind, problem=problem)
    answer.headers["HX-Push-Url"] = "false"
    return answer

"""Links from mails that work once: choosing a password."""

from __future__ import annotations

from typing import Any

from flask import request

from services.gateway import tokens
from services.gateway.declare import Key, Routes, created
from services.gateway.identity import Who
from services.gateway.routes.users import people, shown
from services.gateway.schemas.people import (
    Accepted,
    PasswordBody,
    ResetBody,
    TokenPath,
    User,
)
from services.gateway.surroundings import gateway

ROUTES = Routes("Passwords", "Choosing a password by a link that works once.")
_LINK = ("token_invalid", "password_too_weak", "busy")


@ROUTES.post("/v1/invitations/<token>", {201: User}, who=Who.ANYONE, key=Key.IGNORED, refuses=_LINK)
def accept_invitation(path: TokenPath, body: PasswordBody) -> tuple[Any, int]:
    """Accept an invitation by choosing a password"""
    return created(_choose(tokens.INVITATION, path.token, body.password))


@ROUTES.post("/v1/password-resets", {202: Accepted}, who=Who.ANYONE, key=Key.IGNORED)
def ask_password_reset(body: ResetBody) -> tuple[Any, int]:
    """Ask for a link to choose a new password"""
    email = body.email.strip().lower()
    gateway().limits.password_reset(email, request.remote_addr or "")
    people().ask_reset(email, gateway().now())
    return {"status": "accepted"}, 202


@ROUTES.post(
    "/v1/password-resets/<token>", {200: User}, who=Who.ANYONE, key=Key.IGNORED, refuses=_LINK
)
def reset_password(path: TokenPath, body: PasswordBody) -> Any:
    """Choose a new password; every session of the user ends"""
    return _choose(tokens.PASSWORD_RESET, path.token, body.password)


def _choose(kind: str, secret: str, password: str) -> dict[str, Any]:
    return shown(people().set_password(kind, secret, password, gateway().now()))

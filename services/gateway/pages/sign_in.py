"""Signing in. The form is sent to ``POST /login`` (``routes/login.py``), which programs use too."""

from __future__ import annotations

from flask import request, session

from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go, own_path
from services.gateway.pages.rendering import known_problem, page

PAGES = Pages()
_NOTICES = {
    "ended": "sign_in.ended",
    "needed": "sign_in.needed",
    "chosen": "sign_in.chosen",
}


@PAGES.get("/login", Who.ANYONE)
def show_sign_in() -> Answer:
    """Who is signed in already goes on to where the form would lead."""
    target = own_path(request.args.get("next"), "/")
    if getattr(session, "row", None) is not None:
        return go(target)
    return page(
        "sign_in/sign_in.html",
        target=target,
        problem=known_problem(request.args.get("error")),
        notice=next((_NOTICES[name] for name in _NOTICES if name in request.args), None),
    )

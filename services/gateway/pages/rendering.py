"""Turns a template and values into a page, with what every page shows around them."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, cast

from flask import Flask, current_app, g, make_response, request, session, url_for
from flask_wtf.csrf import generate_csrf
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from werkzeug.wrappers import Response

from services.gateway import texts
from services.gateway.pages.assets import asset_url
from services.gateway.pages.formats import Formats, formats_for
from services.gateway.surroundings import ask, gateway, passing_over
from shared.refusals import CODES
from shared.rpc import OWNER

_TEMPLATES = Path(__file__).parent.parent / "templates"
_NAME = "pbxim_pages"


def prepare(app: Flask) -> None:
    """Hangs the templates onto the application."""
    app.extensions[_NAME] = environment()


def environment() -> Environment:
    """The templates. Everything is escaped; a value that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(t=texts.text, counted=texts.counted, asset=asset_url, url_for=url_for)
    return made


def page(template: str, /, status: int = 200, **values: Any) -> Response:
    """The page made of a template. Templates know ``f`` (formats), ``frame`` and the values."""
    made = cast("Environment", current_app.extensions[_NAME]).get_template(template)
    shown = made.render(f=formats(), frame=frame(), **values)
    return make_response(shown, status)


def formats() -> Formats:
    """How values are written for the account of this request."""
    if "formats" not in g:
        g.formats = formats_for(account())
    return cast("Formats", g.formats)


def account() -> dict[str, Any] | None:
    """The account that is acted for; ``None`` for strangers, and for staff acting for nobody."""
    if g.get("caller") is None:
        return None
    if "account" not in g:
        unknown = passing_over("account_unknown", "staff_only", "account_needed")
        g.account = unknown(lambda: ask("billing", "get_account"))
    return cast("dict[str, Any] | None", g.account)


def frame() -> dict[str, Any]:
    """What the frame around every page shows."""
    settings = gateway().settings
    caller = g.get("caller")
    by_session = caller is not None and caller.by == "session"
    return {
        "mode": settings.mode,
        "support": settings.support_address,
        "signed_in": caller is not None,
        "by_session": by_session,
        "email": getattr(getattr(session, "row", None), "email", "") if by_session else "",
        "account": account(),
        "may_buy": caller is not None and caller.role == OWNER,
        "office": caller is not None and caller.staff,
        "must_enrol": caller is not None and caller.must_enrol,
        "enrolled": _has_just_enrolled(),
        "looking": _looking(),
        "csrf": generate_csrf() if by_session else "",
        "behind": bool(g.get("behind")),
    }


def _has_just_enrolled() -> bool:
    """Whether the address says so and it is true: the page that follows may be any page."""
    row = getattr(session, "row", None)
    return "enrolled" in request.args and row is not None and bool(row.has_totp)


def _looking() -> dict[str, str] | None:
    """As which account staff sees the pages, and who it is; ``None`` for everybody else."""
    caller = g.get("caller")
    if caller is None or not caller.looking:
        return None
    name = (account() or {}).get("name") or caller.account_id
    return {"account": str(name), "email": str(getattr(session, "row").email)}  # noqa: B009  # Ours.


def new_key() -> str:
    """A key for one form: what is sent twice from it is done once."""
    return secrets.token_urlsafe(16)


def known_problem(code: str | None) -> dict[str, str] | None:
    """What to tell about a refusal that sent the person back to a page."""
    if code not in CODES:
        return None
    return {"title": texts.problem_title(code), "next": texts.problem_next(code), "code": code}


def remember_position(answer: Response) -> Response:
    """What a form did is seen by the page that follows: a redirection carries no Log-Position."""
    position = g.get("log_position", 0)
    if position and g.get("caller") is not None:
        gateway().positions.seen(g.caller.id, position)
    return answer

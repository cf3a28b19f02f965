"""Errors as pages: what happened, what to do, code and request id. Or the way to sign in."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, request
from werkzeug.wrappers import Response as AnyResponse

from services.gateway import problems, texts
from services.gateway.pages.paths import go, went_from, with_query
from services.gateway.pages.rendering import page
from services.gateway.pages.you import YOU
from services.gateway.routes.login import sessions

_NOBODY = frozenset({"not_authenticated", "session_expired"})
_PROGRAMS = ("/v1/", "/webhooks/", "/docs", "/openapi", "/livez", "/readyz", "/metrics")
_KEPT_HEADERS = ("Retry-After", "Allow")


def on_error(error: Exception) -> AnyResponse:
    """What Flask calls for anything raised by a page."""
    answer = problems.on_error(error)
    if answer.mimetype != problems.MEDIA_TYPE:
        return answer
    problem = answer.get_json()
    if problem["code"] in _NOBODY:
        return _to_sign_in()
    if problem["code"] == "totp_enrolment_required":
        return _to(YOU, answer.status_code)
    return _page_of(problem, answer)


def answer_browsers(app: Flask) -> None:
    """Shows errors outside of pages (no such address, a form of ``/login``) as pages to browsers;
    programs get what they got before."""

    def chosen(error: Exception) -> AnyResponse:
        return on_error(error) if _wants_page() else problems.on_error(error)

    app.register_error_handler(Exception, chosen)


def _wants_page() -> bool:
    if request.path.startswith(_PROGRAMS):
        return False
    offered = ["application/json", "text/html"]
    return request.accept_mimetypes.best_match(offered) == "text/html"


def _to_sign_in() -> AnyResponse:
    # Whoever sends a form was signed in when the page came, also if the cookie is gone meanwhile.
    in_the_middle = request.method != "GET" or "HX-Request" in request.headers
    was_in = in_the_middle or sessions().cookie in request.cookies
    return _to("/login", 401, **({"ended": "1"} if was_in else {"needed": "1"}))


def _to(path: str, status: int, **why: str) -> AnyResponse:
    """Elsewhere first, and from there back to where the person is now."""
    if "HX-Request" in request.headers:
        # The whole page goes, so that nothing of the old session stays on it.
        answer = Response(status=status)
        answer.headers["HX-Redirect"] = with_query(path, next=went_from(), **why)
        return answer
    return go(path, next=went_from(), **why)


def _page_of(problem: dict[str, Any], answer: Response) -> AnyResponse:
    code = problem["code"]
    # A page about an error asks nobody anything: who would answer may be what is broken.
    g.setdefault("account", None)
    shown = page(
        "errors/error.html",
        answer.status_code,
        problem=problem,
        title=texts.problem_title(code),
        next_step=texts.problem_next(code),
    )
    for name in _KEPT_HEADERS:
        if name in answer.headers:
            shown.headers[name] = answer.headers[name]
    # The address stays that of the page the person was on: an error has none to come back to.
    shown.headers["HX-Push-Url"] = "false"
    return shown

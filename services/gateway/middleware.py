"""What happens around every request: id, size, who asks, limits, site, key, answer, headers."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any, cast
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, current_app, g, request

from services.gateway import idempotency, identity
from services.gateway.declare import Key, Operation, operation_of, takes_file
from services.gateway.idempotency import Answers, Asked, Running
from services.gateway.identity import SAFE_METHODS, Who
from services.gateway.sessions import ServerSessions
from services.gateway.surroundings import gateway
from services.gateway.waiting import FRESH_SECONDS
from shared import logging, tracing
from shared.config import Settings
from shared.errors import Unavailable
from shared.refusals import refusal
from shared.rpc import CallContext

_log = logging.logger("gateway")

MOST_BYTES = 10 * 1024 * 1024
_MOST_JSON_BYTES = 1024 * 1024  # Far over any of ours; each byte of it is some of our memory.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SLOW_STATUS = 500
_OK = range(200, 300)
_TOO_LATE = frozenset({409, 410})  # What the caller was refused for is in the log.
_STRIPE_SCRIPT = "https://js.stripe.com"
_STRIPE_API = "https://api.stripe.com"
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"


def install(app: Flask) -> None:
    """Hangs everything onto the application."""
    app.before_request(_open)
    app.before_request(_admit)
    app.before_request(_claim_key)
    app.before_request(_catch_up)
    # Flask calls these from the last to the first: position, answer to keep, the rest.
    app.after_request(_close)
    app.after_request(_keep_answer)
    app.after_request(_tell_position)
    app.teardown_request(_unbind)


def _open() -> None:
    given = request.headers.get("Request-Id", "")
    g.started = time.monotonic()
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    trace = request.headers.get("traceparent", "")
    g.traceparent = trace if tracing.valid(trace) else ""
    g.span = tracing.begin(request.method, g.traceparent, "server")
    if g.span is not None:
        g.traceparent = g.span.traceparent
    g.bound = structlog.contextvars.bind_contextvars(request_id=g.request_id)
    most = _most_bytes()
    if (request.content_length or 0) > most:
        raise refusal("body_too_large", f"At most {most} bytes are accepted.")


def _most_bytes() -> int:
    return MOST_BYTES if request.url_rule and takes_file(_view()) else _MOST_JSON_BYTES


def _admit() -> None:
    if request.url_rule is None or request.method == "OPTIONS":
        return  # Flask answers 404, 405 and OPTIONS itself.
    who = identity.who_may_call(_view())
    if who is None:
        raise refusal("not_authenticated", "Nobody may call this.")
    g.caller = _caller(who)
    gateway().limits.request(g.caller.id if g.caller else request.remote_addr or "")
    identity.check_looking(g.caller, who, request.method)
    identity.check(g.caller, who)
    _check_site()


def _view() -> Any:
    return current_app.view_functions.get(request.endpoint or "")


def _caller(who: Who) -> identity.Caller | None:
    if who is Who.ANYONE:
        return None
    totp_needed = not gateway().settings.sandbox
    caller = identity.identify(request, gateway().state, totp_needed=totp_needed)
    named = request.headers.get("Pbx-Account")
    if caller is None:
        _refuse_old_cookie()
    if caller is None or named is None:
        return caller
    acting = identity.acting_for(caller, named)
    if acting.acting:
        _check_account(acting)
    return acting


def _refuse_old_cookie() -> None:
    sessions = cast("ServerSessions", current_app.session_interface)
    if sessions.cookie in request.cookies:
        raise refusal("session_expired")


def _check_account(caller: identity.Caller) -> None:
    context = CallContext(
        account_id=caller.account_id,
        actor=caller.id,
        roles=(caller.role,),
        correlation_id=g.request_id,
    )
    gateway().client.call("billing", "get_account", context, account_id=caller.account_id)


def _check_site() -> None:
    if request.method in SAFE_METHODS or "Authorization" in request.headers:
        return
    identity.check_same_site(request, gateway().settings.public_url)
    if g.caller is not None:
        identity.check_csrf(request)


def _claim_key() -> Response | None:
    operation = operation_of(_view()) if request.url_rule is not None else None
    if operation is None or operation.key is Key.IGNORED or request.method != "POST":
        return None
    key = idempotency.valid_key(request.headers.get("Idempotency-Key"))
    if key is None:
        _refuse_missing(operation)
        return None
    return _begin(operation, key)


def _refuse_missing(operation: Operation) -> None:
    if operation.key is Key.REQUIRED:
        raise refusal("idempotency_key_missing", param="Idempotency-Key")


def _begin(operation: Operation, key: str) -> Response | None:
    route = f"{operation.method} {operation.template}"
    mark = idempotency.fingerprint(request.path, request.get_data(cache=True))
    asked = Asked(g.caller.account_id, route, key, mark)
    begun = _answers().begin(asked, gateway().now())
    if isinstance(begun, Response):
        g.replayed = True
        return begun
    g.running = g.renewed = begun
    gateway().renewer.began(begun)
    g.command_key = f"{route}:{key}"
    return None


def _answers() -> Answers:
    return Answers(gateway().state, gateway().wrapper, gateway().unkept)


def _catch_up() -> None:
    """Before a look: the views have seen what the caller was told, or the caller is told so."""
    if g.get("caller") is None:
        return
    positions = gateway().positions
    position = max(positions.of(g.caller.id), positions.of(g.caller.account_id))
    g.at_least = position
    if request.method not in {"GET", "HEAD"}:
        return
    operation = operation_of(_view())
    views = operation.waits_for if operation else ()
    progress = gateway().runtime.progress
    if position and views and not progress.wait_for(views, position, FRESH_SECONDS):
        g.behind = True
        g.at_least = 0  # The services need not wait again.


def _tell_position(answer: Response) -> Response:
    if g.get("behind"):
        answer.headers["Read-Model-Behind"] = "true"
    if request.method in SAFE_METHODS or g.get("caller") is None or g.get("replayed"):
        return answer
    if answer.status_code in _OK or answer.status_code in _TOO_LATE:
        position = g.get("log_position") or gateway().runtime.application.log.head()
        answer.headers["Log-Position"] = str(position)
        for who in (g.caller.id, g.caller.account_id):
            gateway().positions.seen(who, position)
    return answer


def _keep_answer(answer: Response) -> Response:
    running: Running | None = g.pop("running", None)
    if running is not None:
        try:
            _answers().finish(running, answer, g.get("problem"))
        except Unavailable as error:
            # What was done is told: any other answer would have somebody do it again.
            _log.warning("answer_not_kept", code=error.code, detail=error.detail)
    return answer


def _close(answer: Response) -> Response:
    answer.headers["Request-Id"] = g.get("request_id", "")
    _secure(answer)
    gateway().sweeper.pass_by(gateway().now())
    seconds = time.monotonic() - g.get("started", time.monotonic())
    route = request.url_rule.rule if request.url_rule else "unknown"
    gateway().metrics.count(request.method, route, answer.status_code, seconds)
    _end_span(route, answer.status_code)
    if answer.status_code >= _SLOW_STATUS:
        _log.warning("answered", route=route, status=answer.status_code, code=g.get("problem"))
    return answer


def _end_span(route: str, status: int) -> None:
    span: tracing.Span | None = g.pop("span", None)
    if span is not None:
        span.name = f"{request.method} {route}"
        span.failed = status >= _SLOW_STATUS
        span.attributes["http.response.status_code"] = status
        tracing.end(span)


def _unbind(_error: BaseException | None) -> None:
    if (renewed := g.pop("renewed", None)) is not None:
        gateway().renewer.ended(renewed)
    # The thread goes on to other work, whose log lines must not bear this request's id.
    structlog.contextvars.reset_contextvars(**g.pop("bound", {}))


def _secure(answer: Response) -> None:
    settings = gateway().settings
    html = answer.mimetype == "text/html"
    policy = page_policy(settings) if html else _API_POLICY
    headers = answer.headers
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cache-Control", "no-store")
    if settings.public_url.startswith("https://"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")


def page_policy(settings: Settings) -> str:
    """The Content-Security-Policy of pages: our own files, and the payment provider's script."""
    script = _origin(settings.stripe_script_url) or _STRIPE_SCRIPT
    calls = _origin(settings.stripe_api_base) or _STRIPE_API
    return (
        f"default-src 'none'; script-src 'self' {script}; style-src 'self'; img-src 'self' data:; "
        f"font-src 'self'; connect-src 'self' {script} {calls}; frame-src {script} {calls}; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _origin(url: str | None) -> str | None:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None

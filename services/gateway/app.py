"""Puts the gateway together. ``create_app`` connects nothing: it is handed what it works with."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from flask_openapi3.models.info import Info
from flask_openapi3.models.server import Server

from services.gateway import docs_page, middleware, problems
from services.gateway.declare import Api
from services.gateway.identity import Who, may_call
from services.gateway.limits import Limits
from services.gateway.metrics import Metrics
from services.gateway.passwords import hashing_places
from services.gateway.renewing import Renewer
from services.gateway.routes import all_routes
from services.gateway.schemas.common import Problem
from services.gateway.sessions import ServerSessions
from services.gateway.state import TABLES, signing_key
from services.gateway.surroundings import Gateway, hang_on
from services.gateway.sweeping import Sweeper
from services.gateway.waiting import Positions, Waiters
from shared import sealing
from shared.rpc import Client
from shared.runtime import Runtime

_HERE = Path(__file__).parent
_PAGES = "services.gateway.pages"
_SCHEMES = {
    "api_key": {"type": "http", "scheme": "bearer", "description": "An API key: pbx_…"},
}


def create_app(
    runtime: Runtime, client: Client, status: Callable[[], dict[str, Any]] = dict
) -> Flask:
    """The WSGI application: the HTTP API, and the pages if they are there.

    ``client`` reaches the services wherever they run; ``status`` says how far every consumer is.
    """
    surroundings = _surroundings(runtime, client, status)
    app = _api(surroundings)
    hang_on(app, surroundings)
    app.register_error_handler(Exception, problems.on_error)
    for routes in all_routes():
        routes.register(app, sandbox=runtime.settings.sandbox)
    # Where payment providers were told to report before there was a /v1.
    webhook = may_call(Who.ANYONE)(app.view_functions["receive_stripe_webhook"])
    app.add_url_rule("/webhooks/stripe", "stripe_webhook_at_root", webhook, methods=["POST"])
    docs_page.register(app, runtime.settings.mode)
    middleware.install(app)
    _register_pages(app, surroundings)
    return app


def key_wrapper(runtime: Runtime) -> sealing.Wrapper:
    """Encrypts what lies in our tables and has to be read again: mails, answers, TOTP secrets."""
    settings = runtime.settings
    return sealing.Wrapper(sealing.load_key_file(settings.key_file, create=settings.sandbox))


def _surroundings(
    runtime: Runtime, client: Client, status: Callable[[], dict[str, Any]]
) -> Gateway:
    runtime.state.create(TABLES)
    settings = runtime.settings
    return Gateway(
        runtime=runtime,
        client=client,
        status=status,
        wrapper=key_wrapper(runtime),
        signing_key=signing_key(runtime.state),
        limits=Limits(settings.rate_limit),
        positions=Positions(),
        waiters=Waiters(),
        metrics=Metrics(),
        hashing=hashing_places(),
        sweeper=Sweeper(runtime.state),
        renewer=Renewer(runtime.state),
    )


def _api(surroundings: Gateway) -> Api:
    settings = surroundings.settings
    https = settings.public_url.startswith("https://")
    sessions = ServerSessions(surroundings.state, surroundings.runtime.machine, https=https)
    session_scheme = {"type": "apiKey", "in": "cookie", "name": sessions.cookie}
    app = Api(
        "services.gateway",
        info=_info(settings.mode),
        security_schemes={**_SCHEMES, "session": session_scheme},
        servers=[Server(url=settings.public_url)],
        validation_error_model=Problem,
        validation_error_status=500,  # Documented everywhere, so nothing of its own is added.
        doc_ui=False,
        root_path=str(_HERE),
        static_folder=str(_HERE / "static"),
        template_folder=str(_HERE / "templates"),
    )
    app.session_interface = sessions
    app.secret_key = surroundings.signing_key
    app.config.update(
        PUBLIC_URL=settings.public_url,
        MAX_CONTENT_LENGTH=middleware.MOST_BYTES,
        WTF_CSRF_TIME_LIMIT=None,  # It lives as long as its session.
    )
    _allow_static(app)
    return app


def _info(mode: str) -> Info:
    text = (
        f"This installation is in {mode} mode. Errors are RFC 9457 problems with a stable `code`. "
        "Every POST that moves numbers or money needs an `Idempotency-Key`. "
        "Commands answer with `Log-Position`, also those that come too late (409, 410); later "
        "reads of the same caller show their effect, or what they were refused for."
    )
    return Info(title="PBX.IM Numbers", version="1.0.0", description=text)


def _allow_static(app: Flask) -> None:
    if "static" in app.view_functions:
        app.view_functions["static"] = may_call(Who.ANYONE)(app.view_functions["static"])


def _register_pages(app: Flask, surroundings: Gateway) -> None:
    """Adds the HTML pages, which are a package of their own and may be missing."""
    if importlib.util.find_spec(_PAGES) is None:
        return
    register = getattr(importlib.import_module(_PAGES), "register", None)
    if register is not None:
        register(app, surroundings)

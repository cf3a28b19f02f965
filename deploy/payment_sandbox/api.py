"""The HTTP surface: who asks, what with, is it a repetition, does a fault strike, what is it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from waitress.channel import ClientDisconnected

from deploy.payment_sandbox import cards, page, routes, wire
from deploy.payment_sandbox.book import PAGE, Book
from deploy.payment_sandbox.errors import (
    ApiError,
    Json,
    Malformed,
    no_such_url,
    server_fault,
)
from deploy.payment_sandbox.faults import DroppedAnswerError, Faults, Subject, subject_of
from deploy.payment_sandbox.records import Delivery, Origin, Reader, new_id
from deploy.payment_sandbox.settings import Settings
from deploy.payment_sandbox.store import Answer, Key, Store
from deploy.payment_sandbox.wire import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger("payment_sandbox")
# What a page with a publishable key is not told.
_PRIVATE = ("customer", "metadata", "latest_charge", "charge")
_NESTED = {"error", "payment_intent", "setup_intent"}


def _nothing() -> None:
    """No webhooks are sent, so nobody is woken."""


class Sandbox:
    """A WSGI application; `wake` is called after each booking that may have made an event."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        faults: Faults,
        wake: Callable[[], None] = _nothing,
    ) -> None:
        self._settings = settings
        self._store = store
        self._faults = faults
        self._wake = wake

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; never with a traceback."""
        try:
            response = self._respond(Request(environ))
        except ApiError as error:
            response = _error(error)
        except DroppedAnswerError:
            # The server closes the connection without a word when it believes nobody listens.
            raise ClientDisconnected from None
        except Exception:  # the outermost edge: a caller gets Stripe's words, the log the reason
            logger.exception("request_failed")
            response = _error(server_fault())
        return response.send(start_response)

    def _respond(self, request: Request) -> Response:
        path = request.path
        if path.startswith("/v1/"):
            if request.method == "OPTIONS":
                return Response(204, b"", headers=wire.CORS)
            return self._api(request)
        if path.startswith(("/_book/", "/_faults")):
            self._only_secret(request)
            return self._control(request)
        served = page.serve(path, self._settings, self._store.reading())
        if served is None or request.method != "GET":
            raise no_such_url(request.method, path)
        return served

    # -- the API -----------------------------------------------------------------------------

    def _api(self, request: Request) -> Response:
        public = self._is_public(request)
        found = routes.find(request.method, request.path)
        if found is None:
            raise no_such_url(request.method, request.path)
        route, identifiers = found
        if public and not route.public:
            raise wire.unauthorized(request.api_key())
        request.params.only(route.allowed)
        self._check_client(request, identifiers, public=public)
        subject = subject_of(
            self._store.reading(), request.method, request.path, request.params.tree
        )
        if request.method == "GET":
            return self._read(request, route, identifiers, subject, public=public)
        return self._write(request, route, identifiers, subject, public=public)

    def _is_public(self, request: Request) -> bool:
        key = request.api_key()
        if wire.same(key, self._settings.secret_key):
            return False
        if wire.same(key, self._settings.publishable_key):
            return True
        raise wire.unauthorized(key)

    def _only_secret(self, request: Request) -> None:
        if self._is_public(request):
            raise wire.unauthorized(self._settings.publishable_key)

    def _check_client(self, request: Request, identifiers: list[str], *, public: bool) -> None:
        if not public:
            cards.refuse_numbers(request.params)
            cards.refuse_numbers(request.params.branch("payment_method_data"))
            return
        if identifiers:
            kind = request.path.split("/")[2].removesuffix("s")
            intent = self._store.reading().get(kind, identifiers[0])
            if not wire.same(request.params.need("client_secret"), intent["client_secret"]):
                message = (
                    "The client_secret provided does not match the client_secret of this intent."
                )
                raise Malformed(message, "resource_missing", "client_secret")

    def _read(
        self,
        request: Request,
        route: routes.Route,
        identifiers: list[str],
        subject: Subject,
        *,
        public: bool,
    ) -> Response:
        self._faults.before(subject)
        body = _act(route, request, identifiers)(self._store.reading())
        self._faults.after(subject)
        return Response.json(
            200, _shown(body) if public else body, ("Request-Id", new_id("req")), *wire.CORS
        )

    def _write(
        self,
        request: Request,
        route: routes.Route,
        identifiers: list[str],
        subject: Subject,
        *,
        public: bool,
    ) -> Response:
        key = self._key(request)
        origin = Origin(request.base_url, request.idempotency_key, self._plan(subject))
        act = _act(route, request, identifiers)
        with self._store.claimed(key):
            self._faults.before(subject)
            answer = self._store.run(key, origin, act)
        if not answer.replayed:
            self._wake()
        self._faults.after(subject)
        return _answered(answer, key, public=public)

    def _key(self, request: Request) -> Key | None:
        key = request.idempotency_key
        if not key:
            return None
        # The order in which a library writes the parameters says nothing.
        body = json.dumps(sorted(request.pairs))
        return Key.of(request.api_key(), key, request.method, request.path, body)

    def _plan(self, subject: Subject) -> Callable[[str], list[Delivery]]:
        if not self._settings.webhook_url:
            return lambda _event: []
        return lambda event: self._faults.deliveries(subject, event)

    # -- for tests and operators -------------------------------------------------------------

    def _control(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/_faults":
                return Response.json(200, self._faults.described())
            case "PUT", "/_faults":
                self._faults.replace(_json(request.body))
                return Response.json(200, self._faults.described())
            case "GET", "/_book/charges" | "/_book/refunds":
                return self._ledger(request)
        raise no_such_url(request.method, request.path)

    def _ledger(self, request: Request) -> Response:
        request.params.only(frozenset({"after", "limit"}))
        after = request.params.whole("after") or 0
        limit = min(request.params.whole("limit") or PAGE, PAGE)
        book = Book(self._settings.data)
        read = book.charges if request.path.endswith("charges") else book.refunds
        rows = [row._asdict() for row in read(after, limit)]
        more = after + len(rows) if len(rows) == limit else None
        return Response.json(200, {"data": rows, "next": more})


def _act(route: routes.Route, request: Request, identifiers: list[str]) -> Callable[[Reader], Json]:
    # What writes is given a Transaction, which is a Reader; the route table knows which do.
    def act(reader: Reader) -> Json:
        body = route.handler(reader, request.params, *identifiers)
        return routes.expanded(reader, body, request.params.texts("expand"))

    return act


def _answered(answer: Answer, key: Key | None, *, public: bool) -> Response:
    headers = [("Request-Id", new_id("req") if answer.replayed else answer.request_id), *wire.CORS]
    if key:
        headers += [("Idempotency-Key", key.key), ("Original-Request", answer.request_id)]
    if answer.replayed:
        headers.append(("Idempotent-Replayed", "true"))
    body = _shown(json.loads(answer.body)) if public else answer.body
    return Response.json(answer.status, body, *headers)


def _shown(body: Json) -> Json:
    kept = {name: value for name, value in body.items() if name not in _PRIVATE}
    for name in _NESTED & kept.keys():
        kept[name] = _shown(kept[name])
    return kept


def _error(error: ApiError) -> Response:
    return Response.json(error.status, error.body, ("Request-Id", new_id("req")), *wire.CORS)


def _json(body: bytes) -> object:
    try:
        found: object = json.loads(body or b"{}")
    except ValueError as error:
        message = "Invalid JSON"
        raise Malformed(message) from error
    return found

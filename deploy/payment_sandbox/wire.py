"""HTTP in and out: reading a WSGI environment, checking keys, shaping an answer."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deploy.payment_sandbox.errors import ApiError, Json, Malformed
from deploy.payment_sandbox.forms import Pairs, Params, pairs_of, tree_of
from deploy.payment_sandbox.records import dumps

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_BODY = 256 * 1024
MAX_KEY = 255
_REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    404: "Not Found",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
# Any page may ask: a key travels in the request itself, never in a cookie.
CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Stripe-Version"),
    ("Access-Control-Max-Age", "600"),
)


@dataclass(frozen=True)
class Response:
    """What goes back; `body` is sent as it is."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def json(cls, status: int, value: Json | str, *headers: tuple[str, str]) -> Response:
        """A JSON answer, from a value or from JSON text."""
        text = value if isinstance(value, str) else dumps(value)
        return cls(status, text.encode(), headers=headers)

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        """Hand it to the WSGI server."""
        headers = [
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            ("X-Content-Type-Options", "nosniff"),
            *self.headers,
        ]
        start_response(f"{self.status} {_REASONS[self.status]}", headers)
        return [self.body]


class Request:
    """One request; the body is read at once, its form is parsed when asked for."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ["PATH_INFO"]
        self._environ: dict[str, Any] = environ
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > MAX_BODY:
            raise Malformed("Request body is too large.")
        self.body: bytes = environ["wsgi.input"].read(length) if length else b""

    @property
    def base_url(self) -> str:
        """Where the caller reached this sandbox."""
        return f"{self._environ['wsgi.url_scheme']}://{self._environ.get('HTTP_HOST', '127.0.0.1')}"

    @cached_property
    def pairs(self) -> Pairs:
        """Names and values of query and form body, in order; the client's key is not among them."""
        if self.body and "json" in self._environ.get("CONTENT_TYPE", ""):
            raise Malformed("Invalid request: bodies are form-encoded, not JSON.")
        found = pairs_of(self._environ.get("QUERY_STRING", "")) + pairs_of(self.body)
        return [pair for pair in found if pair[0] != "key"]

    @cached_property
    def params(self) -> Params:
        """The parameters as a tree."""
        return Params(tree_of(self.pairs))

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key of a POST."""
        key: str | None = self._environ.get("HTTP_IDEMPOTENCY_KEY")
        if key and len(key) > MAX_KEY:
            message = f"Idempotency keys can be at most {MAX_KEY} characters."
            raise Malformed(message)
        return key if self.method == "POST" else None

    def api_key(self) -> str:
        """From `Authorization: Bearer`, `Basic key:`, or the parameter `key` (Stripe.js)."""
        scheme, _, value = self._environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer":
            return str(value.strip())
        if scheme.lower() == "basic":
            return _basic(value)
        sent = pairs_of(self._environ.get("QUERY_STRING", "")) + pairs_of(self.body)
        return dict(sent).get("key", "")


def _basic(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("ascii").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def same(given: str, expected: str) -> bool:
    """Compare two secrets without telling by time how much of them agrees."""
    return hmac.compare_digest(given.encode(), expected.encode())


def unauthorized(key: str) -> ApiError:
    """401 in Stripe's words; the key is shown by its first letters only."""
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization"
            " header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        return ApiError(401, message)
    return ApiError(401, f"Invalid API Key provided: {key[:8]}{'*' * 8}")

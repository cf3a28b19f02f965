"""The answers that are not 200, in Stripe's shape, so that its own library raises the right class.

ApiError
├── Malformed        the request never started: nothing is kept under its Idempotency-Key
├── Refused          the state forbids it: kept and replayed
└── CardRefused      402, the card says no: kept and replayed

Source of the shapes: https://docs.stripe.com/api/errors
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

DOCS = "https://docs.stripe.com/error-codes/"


class ApiError(Exception):
    """An answer with a status other than 200; `kept` says whether a retry gets it replayed."""

    kept = False
    kind = "invalid_request_error"

    def __init__(self, status: int, message: str, code: str | None = None, **more: object) -> None:
        super().__init__(status, message, code, more)
        self.status = status
        self.error: Json = {"type": self.kind, "message": message}
        if code:
            self.error |= {"code": code, "doc_url": DOCS + code.replace("_", "-")}
        self.error |= {name: value for name, value in more.items() if value is not None}

    @property
    def body(self) -> Json:
        """The JSON body Stripe would send."""
        return {"error": self.error}


class Malformed(ApiError):
    """400: a parameter is missing, unknown or not of its kind; correct the request."""

    def __init__(self, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(400, message, code, param=param)


class Refused(ApiError):
    """400: well formed, but not possible in the present state."""

    kept = True

    def __init__(self, message: str, code: str | None = None, **more: object) -> None:
        super().__init__(400, message, code, **more)


class CardRefused(ApiError):
    """402: the bank, not the caller, must change something."""

    kept = True
    kind = "card_error"

    def __init__(self, message: str, code: str, **more: object) -> None:
        super().__init__(402, message, code, **more)


class IdempotencyMisuse(ApiError):
    """400 same key with other parameters, or 409 same key still running."""

    kind = "idempotency_error"


class ServerFault(ApiError):
    """500, only ever by an injected fault or a defect of the sandbox."""

    kind = "api_error"


def no_such(kind: str, identifier: str, param: str | None = None) -> ApiError:
    """404 for the object named in the path, 400 for one named by the parameter `param`."""
    status, name = (400, param) if param else (404, "id")
    message = f"No such {kind.replace('_', '')}: '{identifier}'"
    return ApiError(status, message, "resource_missing", param=name)


def no_such_url(method: str, path: str) -> ApiError:
    """404 for a route that Stripe may have, but this sandbox does not."""
    return ApiError(404, f"Unrecognized request URL ({method}: {path}).")


def server_fault() -> ApiError:
    """The words Stripe uses for its own failures."""
    return ServerFault(500, "An unknown error occurred. We have been notified.")


def too_many_requests() -> ApiError:
    """429, as the library turns into RateLimitError."""
    return ApiError(429, "Request rate limit exceeded.", "rate_limit")

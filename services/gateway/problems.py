"""Every error as RFC 9457 ``application/problem+json``; one table maps classes to statuses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec
from flask import Response, current_app, g
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException, InternalServerError

from shared import errors as e
from shared import logging
from shared.refusals import CODES, refusal

Model = TypeVar("Model", bound=BaseModel)
_log = logging.logger("gateway")

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[e.PbxError], int] = {
    e.BadRequest: 400,
    e.NotAuthenticated: 401,
    e.PaymentRequired: 402,
    e.NotAllowed: 403,
    e.NotFound: 404,
    e.Conflict: 409,
    e.Gone: 410,
    e.Stale: 412,
    e.TooLarge: 413,
    e.Unprocessable: 422,
    e.RateLimited: 429,
    e.Unavailable: 503,
    e.Broken: 500,
}
# HTTP has statuses of its own for these.
_STATUS_OF_CODE = {"method_not_allowed": 405, "unsupported_media_type": 415}
_CODE_OF_STATUS = {
    400: "malformed_request",
    404: "route_unknown",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}
_RETRY_SECONDS = 1
_CODE_OF_PYDANTIC = {"extra_forbidden": "unknown_field", "missing": "missing_field"}


def status_of(code: str) -> int:
    """The HTTP status of a code of the catalogue."""
    return _STATUS_OF_CODE.get(code) or STATUS[CODES[code].kind]


def body_of(error: e.PbxError) -> dict[str, Any]:
    """The problem document."""
    known = CODES.get(error.code)
    return {
        "type": f"{current_app.config['PUBLIC_URL']}/docs/errors#{error.code}",
        "title": known.title if known else error.code,
        "status": _status(error),
        "detail": error.detail or (known.title + "." if known else ""),
        "code": error.code,
        "param": error.param,
        "request_id": g.get("request_id", ""),
        "errors": list(error.errors),
        "next_step": known.next_step if known else "",
    }


def problem(error: e.PbxError) -> Response:
    """The answer to an error of ours."""
    status = _status(error)
    answer = Response(msgspec.json.encode(body_of(error)), status, content_type=MEDIA_TYPE)
    if status == STATUS[e.NotAuthenticated]:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="pbx.im"'
    if isinstance(error, e.RateLimited | e.Unavailable):
        wait = max(_RETRY_SECONDS, round(error.retry_after or 0))
        answer.headers["Retry-After"] = str(wait)
    g.problem = error.code
    return answer


def on_error(raised: Exception) -> Response:
    """What Flask calls for anything that is raised while a request is answered."""
    error = _cause(raised)
    if isinstance(error, e.Broken):
        _log.error("broken", code=error.code, detail=error.detail)
    if isinstance(error, e.PbxError):
        return problem(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    _log.exception("internal_error", kind=type(error).__name__)
    return problem(refusal("internal_error", "The request failed; it is logged under its id."))


def _cause(error: Exception) -> Exception:
    # What is raised outside of a view, as when an answer is kept, comes wrapped in Flask's own 500.
    cause = error.original_exception if isinstance(error, InternalServerError) else None
    return cause if isinstance(cause, Exception) else error


def _status(error: e.PbxError) -> int:
    return _STATUS_OF_CODE.get(error.code) or STATUS[type(error)]


def _of_http(error: HTTPException) -> Response:
    if error.response is not None or (error.code or 0) < STATUS[e.BadRequest]:
        return cast("Response", Response.force_type(error.get_response()))
    code = _CODE_OF_STATUS.get(error.code or 0, "malformed_request")
    answer = problem(refusal(code))
    for name, text in error.get_headers():
        if name == "Allow":
            answer.headers[name] = text
    return answer


def of_validation(error: ValidationError, where: str = "") -> e.PbxError:
    """What pydantic complains of, in our codes. An unknown field is named before anything else."""
    details = error.errors(include_url=False, include_input=False)  # The input may be large.
    faults = [_fault(detail, where) for detail in details]
    if any(detail["type"] == "json_invalid" for detail in details):
        return refusal("malformed_json", faults[0]["detail"])
    main = next((f for f in faults if f["code"] == "unknown_field"), faults[0])
    return refusal(main["code"], main["detail"], param=main["param"], errors=tuple(faults))


def read(model: type[Model], **named: Any) -> Model:
    """What a form or an address says, as the model reads it. Raises our refusals."""
    try:
        return model.model_validate(named)
    except ValidationError as error:
        raise of_validation(error) from error


def _fault(detail: ErrorDetails, where: str) -> dict[str, Any]:
    kind = detail["type"]
    code = kind if kind in CODES else _CODE_OF_PYDANTIC.get(kind, "invalid_value")
    param = _path(detail["loc"]) or where or None
    sentence = re.sub(r"\s+", " ", detail["msg"])
    return {"code": code, "param": param, "detail": f"{param}: {sentence}." if param else sentence}


def _path(location: Iterable[str | int]) -> str:
    """``("items", 0, "quantity")`` → ``items[0].quantity``."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def documented(codes: Iterable[str]) -> dict[str, Any]:
    """The responses of an OpenAPI operation for these codes, grouped by status."""
    by_status: dict[int, list[str]] = {}
    for code in sorted(set(codes)):
        by_status.setdefault(status_of(code), []).append(code)
    return {str(status): _response(by_status[status]) for status in sorted(by_status)}


def _response(codes: list[str]) -> dict[str, Any]:
    listed = "; ".join(f"`{code}`: {CODES[code].title}" for code in codes)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": listed, "content": {MEDIA_TYPE: {"schema": schema}}}

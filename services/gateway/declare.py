"""Declares the operations of the API: path, who may call, key, models, refusals. Nothing else does.

A module of ``routes/`` collects its operations in a ``Routes``; ``create_app`` registers them. From
the same declaration come the URL rule, the check of who asks, the idempotency of the route and the
operation in the OpenAPI document.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Any, TypeVar

import msgspec
from flask import Response, request
from flask_openapi3.models.data_type import DataType
from flask_openapi3.models.parameter import Parameter
from flask_openapi3.models.parameter_in_type import ParameterInType
from flask_openapi3.models.schema import Schema
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel, ValidationError

from services.gateway import problems
from services.gateway.identity import Who, may_call
from shared.refusals import refusal

View = TypeVar("View", bound=Callable[..., Any])
Answers = dict[int, type[BaseModel] | dict[str, Any] | None]
_OPERATION = "__operation__"
_FILE = "__takes_file__"
_ALWAYS = ("internal_error", "service_unavailable", "rate_limited")
_SIGNED_IN = (
    "not_authenticated",
    "session_expired",
    "staff_only",  # Pbx-Account, sent by somebody else.
    "account_unknown",
    "totp_enrolment_required",
)
_CHANGING = ("role_required", "csrf_failed", "looking_only")
_WITH_BODY = (
    "malformed_json",
    "body_too_large",
    "unsupported_media_type",
    "unknown_field",
    "missing_field",
    "invalid_value",
)
_KEYED = ("idempotency_key_reused", "idempotency_key_in_use", "malformed_request")
_CREATED = 201


class Key(Enum):
    """What an operation does with the header Idempotency-Key."""

    REQUIRED = "required"
    ACCEPTED = "accepted"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Operation:
    """One method of one path. ``waits_for`` names the views it answers from."""

    method: str
    rule: str
    view: Callable[..., Any]
    who: Who
    key: Key
    answers: Answers
    problems: tuple[str, ...]
    waits_for: tuple[str, ...]
    sandbox_only: bool
    body: dict[str, Any] | None

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it: ``/v1/orders/{order_id}``."""
        return re.sub(r"<(?:[^<:>]+:)?([^<>]+)>", r"{\1}", self.rule)

    @property
    def name(self) -> str:
        """The operation's id in the document, and the endpoint's name."""
        return self.view.__name__

    @property
    def takes_json(self) -> bool:
        """Whether there is a JSON body."""
        return "body" in inspect.signature(self.view).parameters

    @property
    def takes_file(self) -> bool:
        """Whether the body is something larger than JSON."""
        return self.body is not None and "application/json" not in self.body["content"]


class Routes:
    """The operations of one resource."""

    def __init__(self, name: str, description: str) -> None:
        self._tag = Tag(name=name, description=description)
        self.operations: list[Operation] = []

    def get(self, rule: str, answer: Any, **more: Any) -> Callable[[View], View]:
        """Reads."""
        return self._route("GET", rule, {200: answer}, **{"who": Who.MEMBER, **more})

    def post(self, rule: str, answers: Answers, **more: Any) -> Callable[[View], View]:
        """Creates, or does something."""
        return self._route("POST", rule, answers, **{"key": Key.ACCEPTED, **more})

    def put(self, rule: str, answer: Any, **more: Any) -> Callable[[View], View]:
        """Replaces."""
        return self._route("PUT", rule, {200: answer}, **more)

    def patch(self, rule: str, answer: Any, **more: Any) -> Callable[[View], View]:
        """Changes what is named."""
        return self._route("PATCH", rule, {200: answer}, **more)

    def delete(self, rule: str, answers: Answers, **more: Any) -> Callable[[View], View]:
        """Takes away."""
        return self._route("DELETE", rule, answers, **more)

    def register(self, app: Api, *, sandbox: bool) -> None:
        """Adds the operations to the application; test-only ones not where money is real."""
        for operation in self.operations:
            if sandbox or not operation.sandbox_only:
                _register(app, self._tag, operation)

    def _route(
        self,
        method: str,
        rule: str,
        answers: Answers,
        *,
        who: Who,
        key: Key = Key.IGNORED,
        refuses: tuple[str, ...] = (),
        waits_for: tuple[str, ...] = (),
        sandbox_only: bool = False,
        body: dict[str, Any] | None = None,
    ) -> Callable[[View], View]:
        def declared(view: View) -> View:
            operation = Operation(
                method=method,
                rule=rule,
                view=view,
                who=who,
                key=key,
                answers=answers,
                problems=refuses,
                waits_for=waits_for,
                sandbox_only=sandbox_only,
                body=body,
            )
            self.operations.append(operation)
            setattr(view, _OPERATION, operation)
            return may_call(who)(view)

        return declared


def operation_of(view: object) -> Operation | None:
    """What a view function of the application declares; ``None`` for pages and files."""
    found = getattr(view, _OPERATION, None)
    return found if isinstance(found, Operation) else None


def with_file(view: View) -> View:
    """Lets the body of a view that is no operation be as large as a file."""
    setattr(view, _FILE, True)
    return view


def takes_file(view: object) -> bool:
    """Whether a view's body is something larger than JSON or a form's fields."""
    operation = operation_of(view)
    return operation.takes_file if operation is not None else bool(getattr(view, _FILE, False))


class Api(OpenAPI):
    """The application. flask-openapi3 writes the document; bodies and queries are read here."""

    @staticmethod
    def create_view_func(func: Any, *models: Any, **_: Any) -> Callable[..., Response]:
        """The view that Flask calls: parses the parts that the function asks for, then calls it."""
        _header, _cookie, path, query, _form, body, _raw = models

        @wraps(func)
        def view(**in_path: str) -> Response:
            arguments: dict[str, Any] = {}
            if path is not None:
                arguments["path"] = _validated(path.model_validate, in_path, "path")
            if query is not None:
                arguments["query"] = _validated(query.model_validate, request.args.to_dict(), "")
            if body is not None:
                arguments["body"] = _validated(body.model_validate_json, _json_body(), "body")
            return _answer(func(**arguments))

        return view


def _validated(validate: Callable[[Any], Any], found: Any, where: str) -> Any:
    try:
        return validate(found)
    except ValidationError as error:
        raise problems.of_validation(error, where) from error


def _json_body() -> bytes:
    raw = request.get_data(cache=True)
    if not raw.strip():
        return b"{}"
    if not request.is_json:
        raise refusal("unsupported_media_type", "Send the body as application/json.")
    return raw


def _answer(result: Any) -> Response:
    if isinstance(result, Response):
        return result
    found, status = result if isinstance(result, tuple) else (result, 200)
    raw = b"" if found is None else msgspec.json.encode(found)
    return Response(raw, status, content_type="application/json" if raw else None)


def created(found: Any) -> tuple[Any, int]:
    """Something new: 201."""
    return found, _CREATED


def _register(app: Api, tag: Tag, operation: Operation) -> None:
    add = getattr(app, operation.method.lower())
    codes = {*operation.problems, *_common_problems(operation)}
    options = {
        "tags": [tag],
        "operation_id": operation.name,
        "security": _security(operation.who),
        "responses": _documented(operation.answers) | problems.documented(codes),
        "openapi_extensions": {"requestBody": operation.body} if operation.body else None,
        "endpoint": operation.name,
    }
    add(operation.rule, **options)(operation.view)
    _add_headers(app, operation)


def _documented(answers: Answers) -> dict[str, Any]:
    # flask-openapi3 completes these in place, so each application gets its own.
    return {str(s): dict(a) if isinstance(a, dict) else a for s, a in answers.items()}


def _security(who: Who) -> list[dict[str, list[str]]]:
    return [] if who is Who.ANYONE else [{"api_key": []}, {"session": []}]


def _common_problems(operation: Operation) -> set[str]:
    codes = {*_ALWAYS}
    if operation.who is not Who.ANYONE:
        codes |= {*_SIGNED_IN}
    if operation.method != "GET" and operation.who is not Who.ANYONE:
        codes |= {*_CHANGING}
    if operation.who is Who.STAFF:
        codes |= {"staff_only"}
    if operation.takes_json or operation.body:
        codes |= {*_WITH_BODY}
    if "query" in inspect.signature(operation.view).parameters:
        codes |= {"invalid_value"}
    if operation.key is not Key.IGNORED:
        codes |= {*_KEYED}
    return codes | ({"idempotency_key_missing"} if operation.key is Key.REQUIRED else set())


def _add_headers(app: Api, operation: Operation) -> None:
    path = app.paths[operation.template]
    documented = getattr(path, operation.method.lower())
    if operation.takes_json and documented.requestBody is not None:
        documented.requestBody.required = _body_needed(operation)
    documented.parameters = [*(documented.parameters or []), *_header_parameters(operation)]


def _body_needed(operation: Operation) -> bool:
    hints = inspect.get_annotations(operation.view, eval_str=True)
    return any(field.is_required() for field in hints["body"].model_fields.values())


def _header_parameters(operation: Operation) -> list[Any]:
    found = []
    if operation.key is not Key.IGNORED:
        found.append(("Idempotency-Key", operation.key is Key.REQUIRED, 255))
    if operation.who in {Who.MEMBER, Who.BUYER, Who.MANAGER}:
        found.append(("Pbx-Account", False, 64))
    return [_header_parameter(*one) for one in found]


def _header_parameter(name: str, required: bool, longest: int) -> Parameter:  # noqa: FBT001
    schema = Schema(type=DataType.STRING, maxLength=longest, minLength=1)
    where = ParameterInType.HEADER
    return Parameter.model_validate(
        {"name": name, "in": where, "required": required, "schema": schema}
    )

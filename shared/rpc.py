"""Services as plain classes: methods marked ``@rpc``, a call context, and the local way to call.

The embedded runtime calls through the same codec as AMQP: arguments and answers pass through JSON,
errors through ``to_wire``. Every method takes the context first; a call without one is refused.
"""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from shared.errors import PbxError, from_wire, to_wire
from shared.refusals import refusal

F = TypeVar("F", bound=Callable[..., Any])

STAFF = "staff"
OWNER = "owner"
VIEWER = "viewer"
SYSTEM = "system"


class CallContext(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, for which account. ``deadline`` is machine time in seconds since 1970.

    ``at_least`` is a log position: a query waits until its view has passed it (contract section 1,
    Freshness). ``key`` is what makes a command the same command when it is repeated.
    """

    account_id: str
    actor: str
    roles: tuple[str, ...]
    correlation_id: str
    traceparent: str = ""
    deadline: float = 0.0
    at_least: int = 0
    key: str = ""

    @property
    def staff(self) -> bool:
        """Whether the back office asks."""
        return STAFF in self.roles or SYSTEM in self.roles

    def require_staff(self) -> None:
        """Raises ``staff_only`` for customers."""
        if not self.staff:
            raise refusal("staff_only")

    def require_owner(self) -> None:
        """Raises ``role_required`` for those who may only look."""
        if OWNER not in self.roles and not self.staff:
            raise refusal("role_required", "This needs the role owner.")

    def command_id(self, *parts: str) -> uuid.UUID:
        """The id of the command this call carries: the same for the same key."""
        if not self.key:
            raise refusal("idempotency_key_missing")
        return uuid.uuid5(uuid.NAMESPACE_URL, "\x1f".join((self.account_id, self.key, *parts)))


def rpc(method: F) -> F:
    """Marks a method of a service class as callable by others."""
    method.__rpc__ = True  # type: ignore[attr-defined]  # The mark itself.
    return method


def methods(service: object) -> dict[str, Callable[..., Any]]:
    """The methods of a service that are marked, by name."""
    named = ((name, getattr(service, name)) for name in dir(type(service)))
    return {name: bound for name, bound in named if getattr(bound, "__rpc__", False)}


class Client(Protocol):
    """Calls a service, wherever it runs."""

    def call(self, service: str, method: str, context: CallContext, **arguments: Any) -> Any:
        """The method's answer as plain data. Raises what the service raised."""


class LocalClient:
    """Calls service objects of this process, through the codec."""

    def __init__(self, services: Mapping[str, object]) -> None:
        self._methods = {name: methods(service) for name, service in services.items()}

    def call(self, service: str, method: str, context: CallContext, **arguments: Any) -> Any:
        """See ``Client.call``."""
        request = msgspec.json.encode({"context": context, "arguments": arguments})
        answer = msgspec.json.decode(self._serve(service, method, request))
        if "error" in answer:
            raise from_wire(answer["error"])
        return answer["result"]

    def _serve(self, service: str, method: str, request: bytes) -> bytes:
        try:
            return msgspec.json.encode(
                {"result": dispatch(self._methods[service][method], request)}
            )
        except PbxError as error:
            return msgspec.json.encode({"error": to_wire(error)})


class _Request(msgspec.Struct):
    context: CallContext | None = None
    arguments: dict[str, Any] = {}


def dispatch(method: Callable[..., Any], request: bytes) -> Any:
    """Runs one call from its bytes. Raises ``context_missing`` for a call without context, and
    ``unknown_field``, ``missing_field``, ``invalid_value`` for arguments that do not fit."""
    try:
        parsed = msgspec.json.decode(request, type=_Request)
    except msgspec.DecodeError as error:
        raise refusal("context_missing", f"The call cannot be read: {error}.") from error
    if parsed.context is None:
        raise refusal("context_missing")
    return method(parsed.context, **_fitting(method, parsed.arguments))


def dispatch_plain(method: Callable[..., Any], context: Any, arguments: dict[str, Any]) -> Any:
    """As ``dispatch``, for a call that has been decoded already: ``context`` is plain data."""
    if context is None:
        raise refusal("context_missing")
    try:
        known = msgspec.convert(context, CallContext)
    except msgspec.ValidationError as error:
        raise refusal("context_missing", f"The call cannot be read: {error}.") from error
    return method(known, **_fitting(method, arguments))


def _fitting(method: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = _parameters(getattr(method, "__func__", method))
    if wanted is None:
        return dict(given)
    for name in given.keys() - wanted.keys():
        raise refusal("unknown_field", f"There is no {name}.", param=name)
    for name in (n for n, one in wanted.items() if one.needed and n not in given):
        raise refusal("missing_field", f"{name} is missing.", param=name)
    return {name: _converted(name, found, wanted[name].kind) for name, found in given.items()}


def _converted(name: str, found: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise refusal("invalid_value", f"{name}: {error}.", param=name) from None


class _Parameter(NamedTuple):
    kind: Any
    needed: bool


@functools.cache
def _parameters(function: Callable[..., Any]) -> dict[str, _Parameter] | None:
    # None: it takes whatever comes. Otherwise all but the object itself and the context.
    signature = inspect.signature(function, eval_str=True)
    if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        return None
    rest = list(signature.parameters.values())[2:]
    return {p.name: _Parameter(p.annotation, p.default is p.empty) for p in rest}

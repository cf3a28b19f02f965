"""What a request of the gateway can reach: one object, hung on the Flask application."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from flask import current_app, g, request

from services.gateway.idempotency import Running
from services.gateway.limits import Limits
from services.gateway.metrics import Metrics
from services.gateway.renewing import Renewer
from services.gateway.sweeping import Sweeper
from services.gateway.waiting import FRESH_SECONDS, Positions, Waiters
from shared.config import Settings
from shared.errors import PbxError
from shared.refusals import refusal
from shared.rpc import CallContext, Client
from shared.runtime import Runtime
from shared.sealing import Wrapper
from shared.stores import Store

_NAME = "pbxim"
_DEADLINE_SECONDS = 30
STAFF_ACCOUNT = "acct_staff"


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The gateway's surroundings. ``status`` names the state of every consumer, for /readyz."""

    runtime: Runtime
    client: Client
    status: Callable[[], dict[str, Any]]
    wrapper: Wrapper
    signing_key: str
    limits: Limits
    positions: Positions
    waiters: Waiters
    metrics: Metrics
    hashing: threading.BoundedSemaphore
    sweeper: Sweeper
    renewer: Renewer
    unkept: set[Running] = field(default_factory=set)

    @property
    def settings(self) -> Settings:
        """The installation's settings."""
        return self.runtime.settings

    @property
    def state(self) -> Store:
        """Where the gateway's own tables lie."""
        return self.runtime.state

    def now(self) -> int:
        """Machine time in whole seconds since 1970."""
        return int(self.runtime.machine.now().timestamp())


def gateway() -> Gateway:
    """The surroundings of the current request."""
    return cast("Gateway", current_app.extensions[_NAME])


def surroundings_of(app: Any) -> Gateway:
    """What was hung on an application."""
    return cast("Gateway", app.extensions[_NAME])


def hang_on(app: Any, surroundings: Gateway) -> None:
    """Makes ``gateway()`` answer with these."""
    app.extensions[_NAME] = surroundings


def metrics_of(app: Any) -> Metrics:
    """What an application counts, for whoever built it to add to."""
    return cast("Gateway", app.extensions[_NAME]).metrics


def context(at_least: int | None = None) -> CallContext:
    """The call context of the current request: who asks, for whom, under which key."""
    caller = g.get("caller")
    return CallContext(
        # Staff that acts for nobody in particular sees every account.
        account_id=caller.account_id if caller and (caller.acting or not caller.staff) else "",
        actor=caller.id if caller else "anonymous",
        roles=(caller.role,) if caller else (),
        correlation_id=g.request_id,
        traceparent=g.get("traceparent", ""),
        deadline=time.time() + _DEADLINE_SECONDS,
        at_least=g.get("at_least", 0) if at_least is None else at_least,
        key=command_key(),
    )


def command_key() -> str:
    """What makes this request's commands the same commands when the request is repeated."""
    if "command_key" not in g:
        g.command_key = f"{request.method} {request.path}:{uuid.uuid4()}"
    return str(g.command_key)


def ask(service: str, method: str, **arguments: Any) -> Any:
    """Calls a service for the caller of this request. Raises what the service raised."""
    return gateway().client.call(service, method, context(), **arguments)


def order(service: str, method: str, **arguments: Any) -> Any:
    """Like ``ask``, for a command: notes how far the log has come, for ``Log-Position`` and for
    what is read after it in the same request."""
    answer = ask(service, method, **arguments)
    if isinstance(answer, dict):
        g.log_position = max(g.get("log_position", 0), answer.pop("position", 0) or 0)
        g.at_least = g.log_position
    return answer


def note_refusal() -> None:
    """What a command was refused for is in the log: what is read after it is not older than that,
    in this request and on the page that follows."""
    g.log_position = g.at_least = gateway().runtime.application.log.head()


def catch_up(*views: str) -> None:
    """Waits once until the views have seen what the caller was told, for a page that asks several
    times. Those that take too long are said to be behind; the services need not wait again."""
    progress, position = gateway().runtime.progress, g.get("at_least", 0)
    if position and not progress.wait_for(views, position, FRESH_SECONDS):
        g.behind = True
    g.at_least = 0


def require(condition: object, code: str, detail: str = "", **more: Any) -> None:
    """Raises the refusal unless the condition holds."""
    if not condition:
        raise refusal(code, detail, **more)


def without_position(answer: dict[str, Any]) -> dict[str, Any]:
    """An object as it is shown: the log position travels in the header."""
    return {name: found for name, found in answer.items() if name != "position"}


def passing_over(*codes: str) -> Callable[[Callable[[], Any]], Any]:
    """Runs a call; answers ``None`` where it is refused with one of the codes."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except PbxError as error:
            if error.code not in codes:
                raise
            return None

    return run

"""What is done with a call that has come in by RabbitMQ, before and after the service's method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from deploy import wire
from deploy.metrics import Calls
from shared import failpoints, logging, tracing
from shared.errors import PbxError
from shared.refusals import refusal
from shared.rpc import dispatch_plain

_log = logging.logger("rpc")


def answered(
    calls: Calls, worker: Any, name: str, context: dict[str, Any] | None, arguments: dict[str, Any]
) -> Any:
    """Runs a method of a worker's service: traced, measured, with its correlation id in whatever is
    logged. Raises what the caller is to be told, ready for the wire."""
    given = context if isinstance(context, dict) else {}
    method, above = f"{worker.name}.{name}", str(given.get("traceparent", ""))
    words = {"correlation_id": given.get("correlation_id", ""), "method": method}
    bound = structlog.contextvars.bind_contextvars(**words)
    try:
        failpoints.reach("rpc.taken")
        with tracing.span(method, above, "server") as within, calls.timed(worker.name, name):
            inner = {**given, "traceparent": within} if given and within != above else context
            found = dispatch_plain(_method(worker, name), inner, arguments)
        failpoints.reach("rpc.done")
    except PbxError as error:
        raise wire.packed(error) from None
    except Exception:  # noqa: BLE001  # A caller is told about all of them, and no more.
        _log.exception("rpc_failed")  # The traceback is for us, and not for the caller.
        raise wire.packed(refusal("internal_error")) from None
    finally:
        structlog.contextvars.reset_contextvars(**bound)
    return found


def _method(worker: Any, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = worker.service.get(name)
    if found is None:
        raise refusal("service_unavailable", f"{worker.name} is not available here.")
    return found

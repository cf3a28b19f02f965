"""Whether this process lives, is ready, and what it counts. At the root, without a key."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.gateway.declare import Routes
from services.gateway.identity import Who
from services.gateway.surroundings import gateway
from shared.metrics import CONTENT_TYPE

ROUTES = Routes("Health", "For load balancers and monitoring.")
_STATE = {
    "description": "The state",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
_TEXT = {
    "description": "Prometheus' text format",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


@ROUTES.get("/livez", _STATE, who=Who.ANYONE)
def livez() -> dict[str, str]:
    """Whether the process answers"""
    return {"status": "ok"}


@ROUTES.get("/readyz", _STATE, who=Who.ANYONE)
def readyz() -> tuple[Any, int]:
    """Whether requests should come here: the mode, and how far every consumer is"""
    found = gateway().status()
    ready = bool(found.get("ready", True))
    mode = {"mode": gateway().settings.mode, "status": "ready" if ready else "not_ready"}
    return {**found, **mode}, 200 if ready else 503


@ROUTES.get("/metrics", _TEXT, who=Who.ANYONE)
def metrics() -> Response:
    """Counters in Prometheus' text format"""
    status = {"head": gateway().runtime.application.log.head(), **gateway().status()}
    return Response(gateway().metrics.text(status), content_type=CONTENT_TYPE)

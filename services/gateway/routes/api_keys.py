"""API keys: shown once, rotated, revoked."""

from __future__ import annotations

from typing import Any

from flask import g

from services.gateway import keys
from services.gateway.declare import Routes, created
from services.gateway.identity import Who
from services.gateway.routes.users import check_grant, instant
from services.gateway.schemas.common import Nothing, page
from services.gateway.schemas.people import ApiKey, ApiKeys, KeyBody, KeyPath, NewApiKey
from services.gateway.surroundings import context, gateway
from shared.ids import derived_id

ROUTES = Routes("API keys", "How programs say who they are: Authorization: Bearer pbx_…")


@ROUTES.get("/v1/api-keys", ApiKeys, who=Who.MANAGER)
def list_api_keys() -> dict[str, Any]:
    """The keys of the account, without their secrets"""
    found = keys.of(gateway().state, g.caller.account_id)
    return page({"data": [_shown(key) for key in found], "next": None})


@ROUTES.post("/v1/api-keys", {201: NewApiKey}, who=Who.MANAGER, refuses=("staff_only",))
def make_api_key(body: KeyBody) -> tuple[Any, int]:
    """Make a key; its secret is shown this once"""
    check_grant(body.role)
    key_id = derived_id("key", context().command_id("make"))
    secret = keys.make(
        gateway().state,
        key_id,
        account_id=g.caller.account_id,
        role=body.role,
        name=body.name,
        now=gateway().now(),
    )
    return created(_with_secret(key_id, secret))


@ROUTES.get("/v1/api-keys/<key_id>", ApiKey, who=Who.MANAGER, refuses=("key_unknown",))
def get_api_key(path: KeyPath) -> Any:
    """A key, without its secret"""
    return _shown(keys.get(gateway().state, g.caller.account_id, path.key_id))


@ROUTES.post(
    "/v1/api-keys/<key_id>/rotate", {200: NewApiKey}, who=Who.MANAGER, refuses=("key_unknown",)
)
def rotate_api_key(path: KeyPath, body: Nothing) -> Any:  # noqa: ARG001  # Only that it is empty.
    """Give a key another secret; the old one stops working at once"""
    found = gateway()
    secret = keys.rotate(found.state, g.caller.account_id, path.key_id, found.now())
    return _with_secret(path.key_id, secret)


@ROUTES.delete("/v1/api-keys/<key_id>", {204: None}, who=Who.MANAGER, refuses=("key_unknown",))
def revoke_api_key(path: KeyPath) -> tuple[None, int]:
    """End a key for good"""
    keys.revoke(gateway().state, g.caller.account_id, path.key_id, gateway().now())
    return None, 204


def _with_secret(key_id: str, secret: str) -> dict[str, Any]:
    found = keys.get(gateway().state, g.caller.account_id, key_id)
    return {**_shown(found), "api_key": secret}


def _shown(key: Any) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "hint": key.hint,
        "created_at": instant(key.created_at),
        "rotated_at": instant(key.rotated_at) if key.rotated_at else None,
    }

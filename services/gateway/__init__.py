"""The gateway: HTTP, pages, and who is asking. It knows other services by their RPC only."""

from __future__ import annotations

from shared.spec import ServiceSpec


def spec() -> ServiceSpec:
    """What the platform needs to know. The gateway has no aggregates and no views of its own: what
    it shows, the services answer; its tables in ``state`` are made by ``create_app``."""
    return ServiceSpec(name="gateway", aggregates=(), rpc=lambda _: object(), processes={})

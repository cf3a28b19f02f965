"""The stores of all services as one, as they are where they lie in files."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.stores import Kind
from shared.stores.postgres import PostgresStore


class AllSchemas(PostgresStore):
    """Finds every service's tables by their names; makes new ones among the gateway's."""

    def __init__(self, address: str, kind: Kind, services: Sequence[str]) -> None:
        own, *others = (f"{kind}_{name}" for name in ("gateway", *services))
        beside = [name for name in others if name != own]
        super().__init__(address, own, durable=True, beside=beside)

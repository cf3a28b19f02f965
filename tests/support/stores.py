"""The stores of all services as one, as they are where they lie in files."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.stores import Kind
from shared.stores.postgres import PostgresStore


class AllSchemas(PostgresStore):
    """Finds every service's tables by their names; makes new ones among the gateway's."""

    def __init__(self, address: str, kind: Kind, services: Sequence[str]) -> None:
        own = f"{kind}_gateway"
        super().__init__(address, own, durable=True)
        every = ", ".join([own, *(f"{kind}_{name}" for name in services if name != "gateway")])
        one, all_of_them = f"search_path = {own};", f"search_path = {every};"
        self._look = self._look.replace(one, all_of_them)
        self._begin = self._begin.replace(one, all_of_them)

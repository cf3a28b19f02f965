"""Where state and views of a service lie: in files of the data folder, or in PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from typing import Literal

from sqlalchemy import MetaData

from shared.config import Settings
from shared.stores import SqliteStore, Store

Kind = Literal["state", "views"]
KINDS: tuple[Kind, ...] = ("state", "views")
SERVICES = ("inventory", "orders", "routing", "porting", "billing", "gateway")
RELAY = "relay"
KEYS = "keys"  # In the place of a service: what all of them share, the wrapped keys of persons.

# Of one process at most. A hold is filled while a look at the views lasts; state is written by one.
CONNECTIONS: dict[Kind, int] = {"state": 4, "views": 8}
_KEY_CONNECTIONS = 2
_STATES = (*SERVICES, "clock", RELAY, KEYS)
_VIEWS = tuple(f"views_{name}" for name in SERVICES)
# Beside each schema of views one in which read models are built anew (``Store.draft``).
_DRAFTS = tuple(f"{name}_draft" for name in _VIEWS)
SCHEMAS = (*(f"state_{name}" for name in _STATES), *_VIEWS, *_DRAFTS)


def open_store(settings: Settings, kind: Kind, service: str) -> Store:
    """The store that the settings name. In PostgreSQL every service has a schema for each; the
    files are shared by all services of their process. Connects at the first use."""
    if settings.database is None:
        return SqliteStore(settings.data / f"{kind}.db", durable=kind == "state")
    from shared.stores.postgres import PostgresStore

    return PostgresStore(
        settings.database,
        f"{kind}_{service}",
        durable=kind == "state",
        connections=_KEY_CONNECTIONS if service == KEYS else CONNECTIONS[kind],
    )


def throw_views_away(settings: Settings) -> None:
    """Empties all services' views; the next start builds them anew. Nothing may be running."""
    if settings.database is None:
        for path in settings.data.glob("views.db*"):
            path.unlink()
        return
    for service in SERVICES:
        with closing(open_store(settings, "views", service)) as store:
            _empty(store)
            with closing(store.draft()) as draft:
                _empty(draft)


def _empty(store: Store) -> None:
    with store.write() as connection:
        found = MetaData()
        found.reflect(connection)
        found.drop_all(connection)

"""The backends of the stores, as their contract suite sees them. A new backend is one entry here.

``make`` prepares an empty place in a folder and answers with its address; ``open`` opens it as a
process would, the n-th of several where the backend takes more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.stores import SqliteStore, Store
from shared.stores.postgres import PostgresStore
from tests.support.postgres import server

SCHEMA = "state_gateway"


@dataclass(frozen=True)
class Backend:
    """One backend."""

    name: str
    make: Callable[[Path], str]
    open: Callable[[str, int], Store]


def _make_sqlite(folder: Path) -> str:
    return str(folder / "state.db")


def _open_sqlite(address: str, _process: int) -> Store:
    return SqliteStore(Path(address), durable=True)


def _make_postgres(_folder: Path) -> str:
    found = server()
    return found.address(found.store_database_of_another_locale())


def _open_postgres(address: str, process: int) -> Store:
    # What a process shares it finds by the address: another spelling is another process.
    another = f"{address}&application_name=pbxim-{process}"
    return PostgresStore(another, SCHEMA, durable=True, connections=2)


BACKENDS = (
    Backend("sqlite", _make_sqlite, _open_sqlite),
    Backend("postgresql", _make_postgres, _open_postgres),
)

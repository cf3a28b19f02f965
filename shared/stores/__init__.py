"""The stores beside the log: ``state`` (must not be lost) and ``views`` (disposable).

SQLAlchemy Core over SQLite or PostgreSQL. No transaction spans two stores.
``shared/stores/postgres.py`` is loaded only where a setting names PostgreSQL.
"""

from shared.stores.keyring import KEYS, StoredKeyring
from shared.stores.port import Store
from shared.stores.sqlite import SqliteStore, has_room

__all__ = ["KEYS", "SqliteStore", "Store", "StoredKeyring", "has_room"]

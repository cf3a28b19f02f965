"""Locks of a database session: its end, also by a death, lets go of them."""

from __future__ import annotations

import contextlib
import hashlib

import psycopg2

from shared.errors import raise_because
from shared.eventlog.postgres_pool import Connection, connect, translate


class AdvisoryLock:
    """A ``Lock`` in PostgreSQL (session-level advisory locks): all of the names or none."""

    def __init__(self, address: str, names: tuple[str, ...]) -> None:
        self._address = address
        self._keys = sorted(map(_key, names))
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """See ``Lock.acquire``."""
        if self.held():
            return True
        self._connection = connect(self._address)
        try:
            taken = (
                _said(self._connection, "SELECT pg_try_advisory_lock(%s)", key)
                for key in self._keys
            )
            if all(taken):
                return True
        except psycopg2.Error as error:
            self.release()
            raise_because(translate(error), error)
        self.release()
        return False

    def held(self) -> bool:
        """See ``Lock.held``. Asks the server: a session that is gone has no locks."""
        if self._connection is None:
            return False
        try:
            return _said(self._connection, "SELECT true")
        except psycopg2.Error:
            self.release()
            return False

    def release(self) -> None:
        """See ``Lock.release``."""
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                # The end of the session lets go, too, but a moment after it was closed here.
                _said(self._connection, "SELECT true FROM pg_advisory_unlock_all()")
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None


def _said(connection: Connection, query: str, *parameters: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        (found,) = cursor.fetchone() or (False,)
    return bool(found)


def _key(name: str) -> int:
    # 64 bits, signed, as PostgreSQL has them.
    digest = hashlib.sha256(f"pbxim:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)

"""How tables that were filled in a schema beside take the place of those that are read.

Moving a table changes the catalogue alone, but whoever looks at the old one has to end first, and
whoever comes meanwhile waits. So nothing long is done under that lock, and it is asked for briefly.

A look that began earlier sees of the new table what had been committed when it began: a part of it,
or nothing. Therefore looks that are older than the last row are waited for, before anything is
locked (as PostgreSQL itself does where it builds an index beside writers).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, MetaData

from shared.refusals import refusal

# Readers that come while the lock is waited for wait behind it, so it is given up after that.
_LOCK_MILLISECONDS = 200
_LOOKS_SECONDS = 2.0
_PAUSE_SECONDS = 0.01
# Sessions of this role that have a snapshot. Those that wait for their turn to write are behind us,
# and look anew when it comes.
_OLDER = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND backend_xmin IS NOT NULL AND xact_start < %s AND wait_event IS DISTINCT FROM 'advisory'
"""


def draft_of(schema: str) -> str:
    """The name of the schema beside it."""
    return f"{schema}_draft"


def take_draft(connection: Connection, schema: str, metadata: MetaData) -> None:
    """See ``Store.take_draft``; in a transaction that reads what is committed."""
    say = connection.exec_driver_sql
    names = [f'"{table.name}"' for table in metadata.sorted_tables]
    new = [f"{draft_of(schema)}.{name}" for name in names]
    say(f"ANALYZE {', '.join(new)}")  # Else the first searches are planned for empty tables.
    _wait_for_older_looks(connection)
    # In both the server may be tidying up. It gives way to whoever waits for a second; here nobody
    # waits behind us.
    say(f"LOCK TABLE {', '.join(new)} IN ACCESS EXCLUSIVE MODE")
    old = [f"{schema}.{name}" for name in names if _is_there(connection, f"{schema}.{name}")]
    if old:
        _replace(connection, old)
    for name in new:
        say(f"ALTER TABLE {name} SET SCHEMA {schema}")


def _replace(connection: Connection, old: Sequence[str]) -> None:
    say, tables = connection.exec_driver_sql, ", ".join(old)
    say(f"LOCK TABLE {tables} IN SHARE UPDATE EXCLUSIVE MODE")
    say(f"SET LOCAL lock_timeout = '{_LOCK_MILLISECONDS}ms'")
    say(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
    say(f"DROP TABLE {tables}")


def _wait_for_older_looks(connection: Connection) -> None:
    began: datetime = _one(connection, "SELECT clock_timestamp()")
    end = time.monotonic() + _LOOKS_SECONDS
    while _one(connection, _OLDER, began):
        if time.monotonic() > end:
            detail = "Somebody looks at the read models for too long to exchange them now."
            raise refusal("busy", detail)
        time.sleep(_PAUSE_SECONDS)  # The server tells nobody that a look has ended.
        connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")


def _is_there(connection: Connection, name: str) -> bool:
    return _one(connection, "SELECT to_regclass(%s)", name) is not None


def _one(connection: Connection, query: str, *values: Any) -> Any:
    return connection.exec_driver_sql(query, values).scalar()

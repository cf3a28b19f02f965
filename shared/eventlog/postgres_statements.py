"""The statements of the log in PostgreSQL, prepared once per connection: parsing and planning cost
as much as a small append or read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2

from shared.eventlog import Recorded
from shared.eventlog.postgres_pool import Connection

_TYPES = (
    "text[], text[], int[], int[], bigint[], int[], int[], bytea[], text[], bigint[], text[],"
    "text[], text[], int[], bytea[], bytea[], bytea[]"
)
_NUMBERED = ", ".join(f"${n}" for n in range(1, _TYPES.count("[]") + 1))
_COLUMNS = ", ".join(Recorded._fields)
EVENTS = f"SELECT {_COLUMNS} FROM log.event"  # nosec B608  # Our own words.
_PREPARE = f"""
PREPARE append ({_TYPES}) AS SELECT * FROM log.append({_NUMBERED});
PREPARE append_one (text, bigint, text, bytea[], text[], text[], int[], bytea[], bytea[], bytea[])
  AS SELECT * FROM log.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
PREPARE append_event (text, bigint, text, bytea, text, text, int, bytea, bytea, bytea)
  AS SELECT log.append_event($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
PREPARE streams (text[]) AS {EVENTS} WHERE stream = ANY ($1) ORDER BY stream, version;
PREPARE behind (bigint, int) AS {EVENTS} WHERE position > $1 ORDER BY position LIMIT $2;
"""  # nosec B608  # Our own words.
APPEND = f"EXECUTE append ({', '.join(['%s'] * _TYPES.count('[]'))})"
APPEND_ONE = f"EXECUTE append_one ({', '.join(['%s'] * 10)})"
APPEND_EVENT = f"EXECUTE append_event ({', '.join(['%s'] * 10)})"
STREAMS, BEHIND = "EXECUTE streams (%s)", "EXECUTE behind (%s, %s)"


def call(connection: Connection, query: str, arguments: Sequence[object]) -> list[Any]:
    """The rows of a statement, or of a query. Raises ``psycopg2.Error``."""
    if not connection.prepared:
        _prepare(connection)
    return rows(connection, query, arguments)


def _prepare(connection: Connection) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_PREPARE)
    except psycopg2.Error:  # What was prepared stays so; a second try would be refused for ever.
        connection.close()
        raise
    connection.prepared = True


def rows(connection: Connection, query: str, parameters: Sequence[object]) -> list[Any]:
    """As ``call``, for what is not prepared."""
    cursor = connection.cursor()  # Let go of with its last row: nothing of it is on the server.
    cursor.execute(query, parameters)
    return cursor.fetchall()

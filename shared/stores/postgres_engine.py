"""The connections of a store in PostgreSQL, and how they are set."""

from __future__ import annotations

from functools import partial

import psycopg2
from sqlalchemy import Engine, QueuePool, create_engine

from shared.eventlog.postgres_pool import connect

# A plan is made for the values at hand: views are searched in many ways. Instants come back in UTC.
# What was acknowledged survives a power cut, also where the server's default is careless.
_PREPARE = """
SET TimeZone = 'UTC'; SET jit = off; SET search_path = %s;
SET lock_timeout = '%ds'; SET idle_in_transaction_session_timeout = '60s';
SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') = 'off';
"""


def engine_of(address: str, schemas: str, connections: int, patience: int) -> Engine:
    """At most so many connections, whose tables are those of ``schemas`` (a search path). Whoever
    finds none free waits for one so many seconds."""
    # Transactions are ours (one round trip opens them); SQLAlchemy does not add its own.
    return create_engine(
        "postgresql+psycopg2://",
        creator=partial(_connect, address, schemas, patience),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience,
        pool_use_lifo=True,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        executemany_mode="values_plus_batch",
        use_native_hstore=False,
    )


def _connect(address: str, schemas: str, patience: int) -> psycopg2.extensions.connection:
    connection = connect(address, _PREPARE % (schemas, patience))
    psycopg2.extensions.register_type(_SUM, connection)
    return connection


def _whole(text: str | bytes | None, _cursor: object) -> int | None:
    return None if text is None else int(text)


# The sum of a column is "numeric" here. Ours are whole numbers, as everywhere else.
_SUM = psycopg2.extensions.new_type((1700,), "WHOLE", _whole)

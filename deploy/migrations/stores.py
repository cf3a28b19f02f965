"""The schemas of state and views in a PostgreSQL database, and what the application may do there.

Every store is a schema of its own, in which the application makes its tables itself: they change
with the code that fills them, and the views are thrown away at will. Outside of these schemas its
role may make nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from deploy.stores import SCHEMAS

_ROLE = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pbxim_app') THEN
    CREATE ROLE pbxim_app NOLOGIN;
  END IF;
END $$
"""


def make_schemas(connection: Connection) -> int:
    """Makes what is missing; says how many schemas there are now."""
    connection.execute(text(_ROLE))
    for schema in SCHEMAS:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        connection.execute(text(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO pbxim_app"))
    return len(SCHEMAS)

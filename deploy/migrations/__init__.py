"""Brings the schemas of a PostgreSQL database to this version. Run by the owner: ``pbxim migrate``.

The application's own role may neither make nor change tables of the log.
"""

from __future__ import annotations

from pathlib import Path

import psycopg2
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, pool, text

from deploy.migrations.stores import make_schemas

_LOG = Path(__file__).parent / "log"
_ONE_AT_A_TIME = 7_263_000  # An advisory lock of the database: two migrations wait for each other.


def migrate_stores(address: str) -> int:
    """Makes the schemas of state and views that are missing, and says how many there are.
    ``address`` is that of a role that may create schemas; the log may lie in another database."""
    with _engine(address).begin() as connection:
        _wait_for_others(connection)
        return make_schemas(connection)


def migrate(address: str) -> str:
    """Runs what is missing, all of it or nothing; a second run changes nothing. Answers with the
    version the log is at now. ``address`` is libpq's, of a role that may create schemas."""
    config = Config()
    config.set_main_option("script_location", str(_LOG))
    with _engine(address).begin() as connection:
        _wait_for_others(connection)
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS log"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        found = connection.execute(text("SELECT version_num FROM log.alembic_version"))
        return str(found.scalar_one())


def _engine(address: str) -> Engine:
    return create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(address), poolclass=pool.NullPool
    )


def _wait_for_others(connection: Connection) -> None:
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))

"""Brings the schemas of a PostgreSQL database to this version. Run by the owner: ``pbxim migrate``.

The application's own role may neither make nor change tables.
"""

from __future__ import annotations

from pathlib import Path

import psycopg2
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool, text

_LOG = Path(__file__).parent / "log"
_ONE_AT_A_TIME = 7_263_000  # An advisory lock of the database: two migrations wait for each other.


def migrate(address: str) -> str:
    """Runs what is missing, all of it or nothing; a second run changes nothing. Answers with the
    version the log is at now. ``address`` is libpq's, of a role that may create schemas."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(address), poolclass=pool.NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(_LOG))
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS log"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        found = connection.execute(text("SELECT version_num FROM log.alembic_version"))
        return str(found.scalar_one())

"""Prepares the database once it answers: roles and database of an own server, then the schemas."""

from __future__ import annotations

import threading
from contextlib import closing

from psycopg2 import sql

from deploy.migrations import migrate, migrate_stores
from deploy.processes import settings_of, until_told, when_there
from deploy.up.servers import Servers
from shared import logging
from shared.eventlog.postgres_pool import connect

_log = logging.logger("migrate")
_APPLICATION = "pbxim_app"


def prepare(servers: Servers) -> None:
    """Makes roles and database of an own server, where they are missing."""
    address = servers.database("postgres")
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        for role, options in _roles(servers):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), options))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = 'pbxim'")
        if cursor.fetchone() is None:
            cursor.execute("CREATE DATABASE pbxim OWNER pbxim_owner TEMPLATE template0")


def _roles(servers: Servers) -> list[tuple[str, sql.Composable]]:
    def login(role: str, more: str = "") -> sql.Composable:
        password = sql.Literal(servers.password(role))
        return sql.SQL("LOGIN PASSWORD {} " + more).format(password)

    return [
        (_APPLICATION, sql.SQL("NOLOGIN")),
        ("pbxim_owner", login("pbxim_owner", "CREATEROLE")),
        ("pbxim", login("pbxim", f"IN ROLE {_APPLICATION}")),
    ]


def _run(stopping: threading.Event) -> None:
    settings = settings_of("make up")
    servers = Servers(settings.data / "up")
    when_there(lambda: prepare(servers), stopping)
    owner = servers.database("pbxim_owner")
    schemas = when_there(lambda: migrate_stores(owner), stopping)
    version = when_there(lambda: migrate(owner), stopping)
    _log.info("database_ready", log=version, schemas=schemas)


if __name__ == "__main__":
    until_told(_run, "migrate")

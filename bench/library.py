"""The ``eventsourcing`` library on the same PostgreSQL: its recorder and its projection, as they
are shipped. The peer of our log and of our read models."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresTrackingRecorder,
)
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from bench.report import check

_POOL = 17  # A connection per writer.
_MOST_SECONDS = 60.0


class LibraryLog:
    """Its recorder. ``functions``: with its stored procedures, which are off unless asked for."""

    def __init__(self, address: str, *, functions: bool = False) -> None:
        place = _parts(address)
        place["schema"] = place.pop("schema") + ("_functions" if functions else "")
        self._datastore = PostgresDatastore(**place, pool_size=_POOL, enable_db_functions=functions)
        self._recorder = PostgresApplicationRecorder(self._datastore)
        self._recorder.create_table()

    def append(self, states: Sequence[bytes]) -> None:
        """Events of that content, each in a stream of its own, in one commit."""
        events = [StoredEvent(uuid.uuid4(), 1, "bench:OrderPlaced", state) for state in states]
        given = self._recorder.insert_events(events)
        check(given is not None and len(given) == len(states), "the library wrote less")

    def close(self) -> None:
        """Ends its connections."""
        self._datastore.close()


def _parts(address: str) -> dict[str, Any]:
    found = urlsplit(address)
    told = {name: values[0] for name, values in parse_qs(found.query).items()}
    return {
        "dbname": found.path[1:],
        "host": told.get("host") or found.hostname or "",
        "port": told.get("port") or found.port or 5432,
        "user": found.username or "",
        "password": found.password or "",
        "schema": "library",
    }


def settings(address: str) -> dict[str, str]:
    """The library's, for a database."""
    found = {f"POSTGRES_{name.upper()}": str(value) for name, value in _parts(address).items()}
    return {"PERSISTENCE_MODULE": "eventsourcing.postgres", **found}


class Number(Aggregate):
    """A number that changes."""

    @event("Registered")
    def __init__(self, number: str) -> None:
        self.number = number
        self.status = "new"

    @event("Changed")
    def change(self, number: str, status: str) -> None:
        """Becomes that."""
        self.number, self.status = number, status


class Numbers(Application[uuid.UUID]):
    """Where they are kept."""


class View(PostgresTrackingRecorder):
    """A row per number: its status, and how often it changed."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        schema = Identifier(datastore.schema)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {}.number "
                "(number text PRIMARY KEY, status text NOT NULL, changes int NOT NULL)"
            ).format(schema)
        )
        self._upsert = SQL(
            "INSERT INTO {}.number AS old VALUES (%s, %s, 0) ON CONFLICT (number) DO UPDATE "
            "SET status = excluded.status, changes = old.changes + 1"
        ).format(schema)
        self._all = SQL("SELECT number, status, changes FROM {}.number ORDER BY number").format(
            schema
        )

    def put(self, number: str, status: str, tracking: Tracking) -> None:
        """The row and the place in one transaction, as the library's tutorial does it."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._upsert, (number, status), prepare=True)

    def rows(self) -> list[tuple[str, str, int]]:
        """All of it."""
        with self.datastore.transaction() as cursor:
            cursor.execute(self._all)
            return [(row["number"], row["status"], row["changes"]) for row in cursor.fetchall()]


class Fill(Projection[View]):
    """Fills it."""

    name = "numbers"

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """See the library."""

    @process_event.register
    def _(self, domain_event: Number.Registered, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.put(domain_event.number, "new", tracking)

    @process_event.register
    def _(self, domain_event: Number.Changed, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.put(domain_event.number, domain_event.status, tracking)


def write(address: str, numbers: Sequence[str], statuses: Sequence[str]) -> int:
    """Every number is registered and goes through those statuses; the number of events."""
    app = Numbers(env=settings(address))
    for number in numbers:
        one = Number(number)
        for status in statuses:
            one.change(number, status)
        app.save(one)
    app.close()
    return len(numbers) * (1 + len(statuses))


def project(address: str, events: int) -> list[tuple[str, str, int]]:
    """Fills the view from the beginning; the rows."""
    runner = ProjectionRunner(
        application_class=Numbers, projection_class=Fill, view_class=View, env=settings(address)
    )
    with runner:
        runner.wait(events, timeout=_MOST_SECONDS)
        return runner.projection.view.rows()

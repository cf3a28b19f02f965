"""What a look through a whole log finds after somebody who may do everything has changed it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.eventlog import EventLog, NewEvent, digest
from shared.eventlog.postgres import PostgresLog
from shared.eventlog.sqlite import SqliteLog
from shared.eventlog.verifying import findings
from tests.contract.log_writer import append
from tests.support.postgres import server

Change = Callable[[str], None]


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[EventLog, Change]]:
    """A log of four events in two streams, and how a superuser changes it."""
    log, change = _in_file(tmp_path) if request.param == "sqlite" else _on_server(request)
    append(log, "order-1", 0, "a", "b", "c")
    append(log, "order-2", 0, "d")
    yield log, change
    log.close()


def _in_file(folder: Path) -> tuple[EventLog, Change]:
    def change(statement: str) -> None:
        with closing(sqlite3.connect(folder / "log.db")) as connection, connection:
            for trigger in ("event_no_update", "event_no_delete"):
                connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            connection.execute(statement)

    return SqliteLog(folder / "log.db"), change


def _on_server(request: pytest.FixtureRequest) -> tuple[EventLog, Change]:
    database = request.getfixturevalue("database")

    def change(statement: str) -> None:
        as_superuser = "SET session_replication_role = replica; SET search_path = log;"
        server().say(f"{as_superuser} {statement}", database)

    return PostgresLog(server().address(database)), change


def _bytes(log: EventLog, content: bytes) -> str:
    literal = "X'{}'" if isinstance(log, SqliteLog) else "decode('{}', 'hex')"
    return literal.format(content.hex())


def _text(log: EventLog, column: str) -> str:
    return _bytes(log, b"x") if column in {"payload", "metadata"} else "'x'"


def _found(log: EventLog) -> list[tuple[int, str, str]]:
    return [(one.position, one.where, one.problem) for one in findings(log)]


def test_a_log_that_nobody_has_changed_fits(opened: tuple[EventLog, Change]) -> None:
    assert _found(opened[0]) == []


@pytest.mark.parametrize("column", ["payload", "metadata", "account_id", "type", "category"])
def test_an_event_that_was_edited_is_named_by_its_position(
    opened: tuple[EventLog, Change], column: str
) -> None:
    log, change = opened
    change(f"UPDATE event SET {column} = {_text(log, column)} WHERE position = 2")

    assert _found(log) == [(2, "order-1", "the content does not fit its digest")]


def test_an_event_that_was_taken_out_is_missed_where_it_was(
    opened: tuple[EventLog, Change],
) -> None:
    log, change = opened
    change("DELETE FROM event WHERE position = 2")

    assert _found(log) == [
        (3, "order-1", "the position before is 1"),
        (3, "order-1", "version 3 follows 1"),
    ]


def test_what_was_edited_together_with_its_digest_is_not_noticed(
    opened: tuple[EventLog, Change],
) -> None:
    log, change = opened
    old = log.read_at(2)
    assert old is not None
    event = NewEvent(*(getattr(old, name) for name in NewEvent._fields))
    event = event._replace(payload=b"{}")
    mark = digest(old.stream, old.version, old.category, event).hex()
    binary = "X'{}'" if isinstance(log, SqliteLog) else "decode('{}', 'hex')"
    payload = binary.format(event.payload.hex())
    change(
        f"UPDATE event SET payload = {payload}, digest = {binary.format(mark)} WHERE position = 2"
    )

    changed = log.read_at(2)
    assert changed is not None
    assert changed.payload == event.payload
    assert _found(log) == []


def test_the_last_event_is_missed_by_the_head_where_there_is_one(
    opened: tuple[EventLog, Change],
) -> None:
    log, change = opened
    change("DELETE FROM event WHERE position = 4")

    # In a file the head is the last event; there only consumers that have seen it miss it.
    missed = (
        [] if isinstance(log, SqliteLog) else [(4, "log", "the head is 4, the last event is 3")]
    )
    assert _found(log) == missed

"""What is particular to the event log in SQLite: shared commits, error codes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.eventlog import Appended, Entry, NewEvent, sqlite
from shared.eventlog.sqlite import SqliteLog, translate


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db")
    yield opened
    opened.close()


def entry(stream: str) -> Entry:
    return Entry(stream, "a", 0, (NewEvent(stream.encode().ljust(16), "", "T", 1, b"{}", b"{}"),))


def append_while_another_commits(log: SqliteLog, streams: list[str]) -> dict[str, object]:
    """All of them wait for the lock, so the first that gets it finds them all."""
    answers: dict[str, object] = {}

    def run(stream: str) -> None:
        try:
            answers[stream] = log.append_batch([entry(stream)])
        except Unavailable as error:
            answers[stream] = error

    threads = [threading.Thread(target=run, args=(stream,)) for stream in streams]
    with log._lock:
        for thread in threads:
            thread.start()
        while len(log._waiting) < len(streams):
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    return answers


def test_callers_who_wait_together_share_commits(log: SqliteLog) -> None:
    statements: list[str] = []
    log._writer.set_trace_callback(statements.append)

    answers = append_while_another_commits(log, [f"a-{n}" for n in range(16)])

    log._writer.set_trace_callback(None)
    assert sorted(map(str, answers.values())) == sorted(str([Appended((n,))]) for n in range(1, 17))
    assert statements.count("COMMIT") == 1


def test_more_may_wait_than_one_commit_takes(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_JOBS_AT_ONCE", 3)
    log._waiting.extend(sqlite._Job([entry(f"other-{n}")]) for n in range(7))

    assert log.append_batch([entry("mine")]) == [Appended((8,))]


def test_an_error_of_the_commit_is_told_to_everybody_in_it(log: SqliteLog) -> None:
    blocker = sqlite3.connect(log._path, isolation_level=None)
    log._writer.execute("PRAGMA busy_timeout = 0")
    blocker.execute("BEGIN IMMEDIATE")

    answers = append_while_another_commits(log, [f"a-{n}" for n in range(4)])

    blocker.execute("ROLLBACK")
    blocker.close()
    assert {str(answer) for answer in answers.values()} == {
        "busy: The data is locked by another writer."
    }
    assert log.head() == 0
    assert log.append_batch([entry("a-0")]) == [Appended((1,))]


def test_the_bell_rings_after_every_commit(tmp_path: Path) -> None:
    heads: list[int] = []
    log = SqliteLog(tmp_path / "log.db", lambda: heads.append(log.head()))

    log.append_batch([entry("a-1")])
    log.append_batch([entry("a-2"), entry("a-3")])

    assert heads == [1, 3]
    log.close()


def failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (sqlite3.SQLITE_FULL, "storage_full"),
        (sqlite3.SQLITE_IOERR, "storage_full"),
        (sqlite3.SQLITE_IOERR_WRITE, "storage_full"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "storage_full"),
        (sqlite3.SQLITE_BUSY, "busy"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "busy"),
        (sqlite3.SQLITE_LOCKED, "busy"),
    ],
)
def test_errors_of_sqlite_become_ours(code: int, ours: str) -> None:
    error = translate(failure(code))

    assert isinstance(error, Unavailable)
    assert error.code == ours


def test_an_error_nobody_foresaw_stays_what_it_is() -> None:
    for error in (failure(sqlite3.SQLITE_ERROR), sqlite3.OperationalError("without a code")):
        assert translate(error) is error

"""What is particular to the event log in SQLite: shared commits, error codes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.eventlog import Appended, Entry, NewEvent, sharing
from shared.eventlog.sqlite import SqliteLog, translate
from tests.contract.log_checks import until


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db")
    yield opened
    opened.close()


def entry(stream: str) -> Entry:
    return Entry(stream, "a", 0, (NewEvent(stream.encode().ljust(16), "", "T", 1, b"{}", b"{}"),))


def append_while_another_commits(log: SqliteLog, streams: list[str]) -> dict[str, object]:
    """All of them wait for one that leads, so the next that does finds them all."""
    answers: dict[str, object] = {}

    def run(stream: str) -> None:
        try:
            answers[stream] = log.append_batch([entry(stream)])
        except Unavailable as error:
            answers[stream] = error

    threads = [threading.Thread(target=run, args=(stream,)) for stream in streams]
    commits = log._commits
    commits._led = True
    for thread in threads:
        thread.start()
    until(lambda: len(commits._waiting) == len(streams))
    commits._hand_over()
    for thread in threads:
        thread.join(30)
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
    monkeypatch.setattr(sharing, "_JOBS_AT_ONCE", 3)
    statements: list[str] = []
    log._writer.set_trace_callback(statements.append)

    answers = append_while_another_commits(log, [f"a-{n}" for n in range(7)])

    log._writer.set_trace_callback(None)
    assert sorted(map(str, answers.values())) == sorted(str([Appended((n,))]) for n in range(1, 8))
    assert statements.count("COMMIT") == 3


@pytest.mark.parametrize("its_turn", [False, True])
def test_a_caller_who_is_interrupted_while_waiting_stops_nobody(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch, *, its_turn: bool
) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if its_turn:
                log._commits._hand_over()
            raise KeyboardInterrupt

    log._commits._led = True
    with monkeypatch.context() as patch:
        patch.setattr(sharing.threading, "Event", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append_batch([entry("interrupted")])
    if not its_turn:
        log._commits._hand_over()  # Whoever led then has finished.

    assert log.append_batch([entry("a-1")]) == [Appended((1,))]


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


def test_threads_that_come_and_go_leave_no_connection_behind(log: SqliteLog) -> None:
    log.append_batch([entry("s-1")])
    found: list[int] = []
    for _ in range(50):
        thread = threading.Thread(target=lambda: found.append(len(log.read_all(0, 10))))
        thread.start()
        thread.join(30)

    assert found == [1] * 50
    assert len(log._opened) == 2  # One writes, one reads.

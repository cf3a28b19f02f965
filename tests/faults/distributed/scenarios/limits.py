"""The database ends statements that take too long, and those that write the log are among them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from tests.faults.distributed.run import Run

_LOCKED_SECONDS = 8.0
_UNEASY_SECONDS = 10.0
# What a command may be told when it met the limit; what else it is told is listed as odd.
_TOLD = {"log_unavailable", "busy", "service_unavailable"}


def statement_timeout(run: Run) -> None:
    """The database's limit for statements is short. First the head of the log is locked by somebody
    else, so that each append meets it; then it is so short that any statement may."""
    before = _refused(run)
    try:
        _limit(run, "200ms")
        with _locked_head(run):
            time.sleep(_LOCKED_SECONDS)
        assert _refused(run) > before, "no append has met the limit"
        _limit(run, "4ms")
        time.sleep(_UNEASY_SECONDS)
    finally:
        _limit(run, None)
    run.since = time.monotonic()
    run.notes.append(f"commands told to come again: {_refused(run) - before}")


def _limit(run: Run, words: str | None) -> None:
    # Sessions keep the limits they began with, so they are ended.
    value = "RESET statement_timeout" if words is None else f"SET statement_timeout = '{words}'"
    with contextlib.closing(run.system.connection("postgres")) as connection:
        cursor = connection.cursor()
        cursor.execute(f"ALTER ROLE pbxim {value}")
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pbxim'"
        )


@contextlib.contextmanager
def _locked_head(run: Run) -> Iterator[None]:
    with contextlib.closing(run.system.connection("pbxim_owner")) as connection:
        connection.autocommit = False
        connection.cursor().execute("SELECT position FROM log.head FOR UPDATE")
        yield
        connection.rollback()


def _refused(run: Run) -> int:
    return sum(c.notes.told[code] for c in run.load.everybody() for code in _TOLD)

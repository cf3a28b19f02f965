"""Connections to PostgreSQL: a bounded pool that survives a restart of the server, and the driver's
errors as ours. Only what names PostgreSQL in its settings loads this module."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

import psycopg2
from psycopg2 import extensions

from shared.errors import raise_because
from shared.refusals import refusal

T = TypeVar("T")

# libpq's own names. A server that is stopped, cut off or frozen is noticed in seconds; what the
# address itself says about these wins.
_DEFAULTS = {
    "connect_timeout": "5",
    "application_name": "pbxim",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
# Every query is answered by an index. A plan made while the table was empty must not stay a scan.
# What was acknowledged survives a power cut, also where the server's default is careless.
_PREPARE = """
SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off;
SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';
SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') = 'off';
"""
_BUSY = ("55P03", "40001", "40P01", "53300")  # Lock, serialisation, deadlock, connections.
_FULL = ("53100",)
_UNPREPARED = ("3F000", "42P01", "42883")  # No such schema, table, function.
# Connection, operator, system; a standby that only reads; a transaction that was idle too long.
_AWAY = ("08", "57", "58", "25006", "25P03")
_NO_ANSWER = "The database of the event log does not answer."


class Connection(extensions.connection):
    """The driver's, and whether the statements of the log are prepared on it. ``brief``: what it is
    asked now is answered in less time than it takes to let others work meanwhile."""

    prepared = False
    brief = False


def connect(address: str, prepare: str = _PREPARE) -> Connection:
    """A connection that commits every statement by itself; ``prepare`` is run on it first. Raises
    as ``translate`` says."""
    try:
        parameters: dict[str, str] = {**_DEFAULTS, **extensions.parse_dsn(address)}
        connection = psycopg2.connect(
            extensions.make_dsn(**parameters), connection_factory=Connection
        )
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(prepare)
    except psycopg2.Error as error:
        raise_because(translate(error), error)
    return connection


def translate(error: psycopg2.Error, away: str = _NO_ANSWER) -> Exception:
    """The driver's errors → ours, by SQLSTATE; what is not one of the known ones stays as it is.
    ``away`` says who does not answer."""
    state = error.pgcode or ""
    if state in _FULL:
        return refusal("storage_full", "The data cannot grow: the disk is full.")
    if state in _BUSY:
        return refusal("busy", "The data is locked by another writer.")
    if state in _UNPREPARED:
        return refusal("log_not_migrated", "The database has no event log of this version.")
    lost = not state and isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))
    if lost or state.startswith(_AWAY):
        return refusal("log_unavailable", away)
    return error


class Pool:
    """At most ``size`` connections; whoever finds none free waits. Safe for many threads."""

    def __init__(self, address: str, size: int) -> None:
        self._address = address
        self._free: list[Connection] = []
        # As a semaphore, whose code would be Python's: every read and append comes by here.
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(size):
            self._room.put(None)
        self._closed = False

    def run(self, work: Callable[[Connection], T]) -> T:
        """Does the work on a connection; on a new one once more if the server had gone away.

        The work must be safe to repeat: it may have been done when the connection broke.
        """
        self._room.get()
        try:
            return self._once(work)
        except psycopg2.Error as error:
            return self._once_more(work, error)
        finally:
            self._room.put(None)

    def close(self) -> None:
        """Closes what is free now; what is still in use is closed when it comes back."""
        self._closed = True
        self._let_go()

    def _once(self, work: Callable[[Connection], T]) -> T:
        connection = self._take()
        try:
            return work(connection)
        finally:
            self._give_back(connection)

    def _once_more(self, work: Callable[[Connection], T], error: psycopg2.Error) -> T:
        if not translate_is_loss(error):
            raise_because(translate(error), error)
        self._let_go()  # The others were made before the server went away, too.
        try:
            return self._once(work)
        except psycopg2.Error as again:
            raise_because(translate(again), again)

    def _take(self) -> Connection:
        if self._closed:
            raise refusal("log_unavailable", "This log was closed.")
        try:
            return self._free.pop()
        except IndexError:
            return connect(self._address)

    def _give_back(self, connection: Connection) -> None:
        if self._closed:
            connection.close()
        elif not connection.closed:
            self._free.append(connection)

    def _let_go(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._free.pop().close()


def translate_is_loss(error: psycopg2.Error) -> bool:
    """Whether the connection is gone, so that a new one may do."""
    return getattr(translate(error), "code", "") == "log_unavailable"

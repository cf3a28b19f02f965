"""The event log in PostgreSQL: positions without gaps, in the order of the commits.

A plain sequence would lose events: a reader sees 5, then a slower transaction commits 4. So the
function ``log.append`` (deploy/migrations/log) locks the streams, judges, and only as its last step
takes the one lock that hands out positions; the transaction ends with the statement. Writers of one
process share commits. Why and with what cost: docs/adr/0014-postgresql-log.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, islice
from typing import Any

from shared.eventlog import Appended, Conflict, Entry, Recorded, checked
from shared.eventlog.postgres_append import Clash, Outcome, append_shortly
from shared.eventlog.postgres_bell import Listener
from shared.eventlog.postgres_pool import Connection, Pool
from shared.eventlog.postgres_statements import BEHIND, EVENTS, STREAMS, call, rows
from shared.eventlog.sharing import Job, SharedCommits
from shared.refusals import refusal

# The oldest migration this code can work on. A newer one is fine: versions run side by side.
MIGRATION = "0004"
CONNECTIONS = 16


class PostgresLog:
    """An ``EventLog`` in the schema ``log`` of a database. Safe for many threads and processes.

    ``address`` is libpq's (``postgresql://user@host:port/database``). ``on_append`` is called after
    our own appends and, from another thread, after those of other processes.
    """

    contiguous = True
    knows_earlier = True

    def __init__(
        self,
        address: str,
        on_append: Callable[[], None] | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._on_append = on_append
        self._pool = Pool(address, connections)
        self._commits = SharedCommits(self._commit)
        self.log_id: str = self._pool.run(_identify)
        self._listener = Listener(address, lambda _: on_append()) if on_append else None

    def append_batch(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        """See ``EventLog.append_batch``. Everything in one transaction, shared with others."""
        wanted = checked(entries)
        try:
            return self._commits.append(wanted)
        finally:  # Also a caller who was refused may have written a part, or for others.
            if self._on_append is not None:
                self._on_append()

    def read_stream(self, stream: str) -> list[Recorded]:
        """See ``EventLog.read_stream``."""
        return self._read(STREAMS, [stream])

    def read_streams(self, streams: Iterable[str]) -> dict[str, list[Recorded]]:
        """See ``EventLog.read_streams``."""
        names = sorted(set(streams))
        rows = self._read(STREAMS, names)
        return {stream: list(group) for stream, group in groupby(rows, lambda r: r.stream)}

    def read_all(self, after: int, limit: int) -> list[Recorded]:
        """See ``EventLog.read_all``."""
        return self._read(BEHIND, after, limit)

    def read_last(self, limit: int) -> list[Recorded]:
        """See ``EventLog.read_last``."""
        return self._read(f"{EVENTS} ORDER BY position DESC LIMIT %s", limit)[::-1]

    def read_at(self, position: int) -> Recorded | None:
        """See ``EventLog.read_at``."""
        rows = self._read(f"{EVENTS} WHERE position = %s", position)
        return rows[0] if rows else None

    def head(self) -> int:
        """See ``EventLog.head``."""
        return int(self._ask("SELECT position FROM log.head")[0][0])

    def close(self) -> None:
        """Ends the listener and closes every connection."""
        if self._listener is not None:
            self._listener.close()
        self._pool.close()

    def _read(self, query: str, *parameters: object) -> list[Recorded]:
        return [_recorded(row) for row in self._ask(query, *parameters)]

    def _ask(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._pool.run(lambda connection: call(connection, query, parameters))

    def _commit(self, jobs: Sequence[Job]) -> None:
        entries = jobs[0].entries if len(jobs) == 1 else [e for job in jobs for e in job.entries]
        found: list[Outcome] = []
        if entries:  # Safe to repeat: what is written already is known by its ids.
            found = self._pool.run(lambda connection: append_shortly(connection, entries))
        outcomes = iter(found)
        for job in jobs:
            _answer(job, islice(outcomes, len(job.entries)))


def _answer(job: Job, found: Iterable[Outcome]) -> None:
    job.outcomes = answers = []
    for outcome in found:
        if isinstance(outcome, Clash):  # This caller's mistake; the others' events are fine.
            detail = f"Only a part of the events is in {outcome.stream}."
            job.error = refusal("event_id_clash", detail)
        else:
            answers.append(outcome)


def _recorded(row: tuple[Any, ...]) -> Recorded:
    found = Recorded._make(row)
    return found._replace(
        event_id=bytes(found.event_id),
        payload=bytes(found.payload),
        metadata=bytes(found.metadata),
        digest=bytes(found.digest),
    )


def _identify(connection: Connection) -> str:
    ((found,),) = rows(connection, "SELECT max(version_num) FROM log.alembic_version", ())
    if found is None or found < MIGRATION:
        raise refusal("log_not_migrated", f"The log is at {found}; {MIGRATION} is needed.")
    ((log_id,),) = rows(connection, "SELECT log_id FROM log.head", ())
    return str(log_id)

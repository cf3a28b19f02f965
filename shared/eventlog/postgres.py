"""The event log in PostgreSQL: positions without gaps, in the order of the commits.

A plain sequence would lose events: a reader sees 5, then a slower transaction commits 4. So the
function ``log.append`` (deploy/migrations/log) locks the streams, judges, and only as its last step
takes the one lock that hands out positions; the transaction ends with the statement. Writers of one
process share commits. Why and with what cost: docs/adr/0014-postgresql-log.md.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import UniqueViolation

from shared.eventlog import Appended, Conflict, Entry, Recorded, checked, digest
from shared.eventlog.postgres_bell import Listener
from shared.eventlog.postgres_pool import Connection, Pool
from shared.eventlog.sharing import Job, SharedCommits
from shared.refusals import refusal

# The oldest migration this code can work on. A newer one is fine: versions run side by side.
MIGRATION = "0003"
CONNECTIONS = 16
_TYPES = (
    "text[], text[], int[], int[], bigint[], int[], int[], bytea[], text[], bigint[], text[],"
    "text[], text[], int[], bytea[], bytea[], bytea[]"
)
_NUMBERED = ", ".join(f"${n}" for n in range(1, _TYPES.count("[]") + 1))
_COLUMNS = ", ".join(Recorded._fields)
_EVENTS = f"SELECT {_COLUMNS} FROM log.event"  # nosec B608  # Our own words.
# Prepared once per connection: parsing and planning cost as much as a small append or read.
_PREPARE = f"""
PREPARE append ({_TYPES}) AS SELECT * FROM log.append({_NUMBERED});
PREPARE append_one (text, bigint, text, bytea[], text[], text[], int[], bytea[], bytea[], bytea[])
  AS SELECT * FROM log.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
PREPARE streams (text[]) AS {_EVENTS} WHERE stream = ANY ($1) ORDER BY stream, version;
PREPARE behind (bigint, int) AS {_EVENTS} WHERE position > $1 ORDER BY position LIMIT $2;
"""  # nosec B608  # Our own words.
_APPEND = f"EXECUTE append ({', '.join(['%s'] * _TYPES.count('[]'))})"
_APPEND_ONE = f"EXECUTE append_one ({', '.join(['%s'] * 10)})"
_STREAMS, _BEHIND = "EXECUTE streams (%s)", "EXECUTE behind (%s, %s)"
_WRITTEN, _CLASH = -1, -2  # What log.append says of an entry that is no conflict.


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
        return self._read(_STREAMS, [stream])

    def read_streams(self, streams: Iterable[str]) -> dict[str, list[Recorded]]:
        """See ``EventLog.read_streams``."""
        names = sorted(set(streams))
        rows = self._read(_STREAMS, names)
        return {stream: list(group) for stream, group in groupby(rows, lambda r: r.stream)}

    def read_all(self, after: int, limit: int) -> list[Recorded]:
        """See ``EventLog.read_all``."""
        return self._read(_BEHIND, after, limit)

    def read_last(self, limit: int) -> list[Recorded]:
        """See ``EventLog.read_last``."""
        return self._read(f"{_EVENTS} ORDER BY position DESC LIMIT %s", limit)[::-1]

    def read_at(self, position: int) -> Recorded | None:
        """See ``EventLog.read_at``."""
        rows = self._read(f"{_EVENTS} WHERE position = %s", position)
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
        return self._pool.run(lambda connection: _call(connection, query, parameters))

    def _commit(self, jobs: Sequence[Job]) -> None:
        entries = [entry for job in jobs for entry in job.entries]
        if not entries:
            found: list[Outcome] = []
        else:  # Safe to repeat: what is written already is known by its ids.
            found = self._pool.run(lambda connection: append_shortly(connection, entries))
        outcomes = iter(found)
        for job in jobs:
            _answer(job, [next(outcomes) for _ in job.entries])


class _Clash(NamedTuple):
    stream: str


Outcome = Appended | Conflict | _Clash


def append_shortly(connection: Connection, entries: Sequence[Entry]) -> list[Outcome]:
    """``append``, by a shorter way where there is one. Not for a transaction that is open, unless
    the ids of its events are new."""
    if len(entries) == 1 and entries[0].events:
        with contextlib.suppress(UniqueViolation):  # Another writer was faster with the same ids.
            done = append_one(connection, entries[0])
            if done is not None:
                return [done]
    return append(connection, entries)


def append_one(connection: Connection, entry: Entry) -> Appended | None:
    """Calls ``log.append_one``: ``None`` where ``append`` has to say what there is to say."""
    ((written, base),) = _call(connection, _APPEND_ONE, _of_one(entry))
    many = len(entry.events)
    return Appended(tuple(range(base + 1, base + many + 1))) if written else None


def _of_one(entry: Entry) -> tuple[object, ...]:
    events = entry.events
    numbered = enumerate(events, start=entry.expected_version + 1)
    return (
        entry.stream,
        entry.expected_version,
        entry.category,
        _bytes(event.event_id for event in events),
        [event.account_id for event in events],
        [event.type for event in events],
        [event.schema_version for event in events],
        _bytes(event.payload for event in events),
        _bytes(event.metadata for event in events),
        _bytes(digest(entry.stream, n, entry.category, event) for n, event in numbered),
    )


def append(connection: Connection, entries: Sequence[Entry]) -> list[Outcome]:
    """Calls ``log.append`` in whatever transaction the connection is in."""
    ((base, actual, positions),) = _call(connection, _APPEND, parameters(entries))
    given = iter([p or 0 for p in positions])
    theirs = [tuple(next(given) for _ in entry.events) for entry in entries]
    added: set[int] = set()
    found: list[Outcome] = []
    for entry, says, places in zip(entries, actual, theirs, strict=True):
        # What this call added has no position while it is judged: -1 is the first behind the base.
        earlier = any(place > 0 or place in added for place in places)
        added.update(places)
        placed = tuple(place if place > 0 else base - place for place in places)
        found.append(_outcome(entry, says, placed, earlier=earlier))
    return found


def _call(connection: Connection, query: str, arguments: Sequence[object]) -> list[Any]:
    if not connection.prepared:
        _prepare(connection)
    return _rows(connection, query, arguments)


def _prepare(connection: Connection) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_PREPARE)
    except psycopg2.Error:  # What was prepared stays so; a second try would be refused for ever.
        connection.close()
        raise
    connection.prepared = True


def _outcome(entry: Entry, actual: int, positions: tuple[int, ...], *, earlier: bool) -> Outcome:
    if actual == _WRITTEN:
        return Appended(positions, earlier)
    if actual == _CLASH:
        return _Clash(entry.stream)
    return Conflict(entry.stream, entry.expected_version, actual)


def _answer(job: Job, found: list[Outcome]) -> None:
    clashes = [outcome.stream for outcome in found if isinstance(outcome, _Clash)]
    if clashes:  # This caller's mistake; the others' events are fine.
        detail = f"Only a part of the events is in {clashes[0]}."
        job.error = refusal("event_id_clash", detail)
    else:
        job.outcomes = [outcome for outcome in found if not isinstance(outcome, _Clash)]


def parameters(entries: Sequence[Entry]) -> tuple[object, ...]:
    """The arguments of ``log.append``, in its order. Everything that can be computed outside of the
    lock is: digests, and which events of this call are the same."""
    names = sorted({entry.stream for entry in entries})
    index = {name: n for n, name in enumerate(names, start=1)}
    fresh = sorted({entry.stream for entry in entries if entry.expected_version == 0})
    times = Counter(entry.stream for entry in entries)
    alone = {e.stream: len(e.events) for e in entries if times[e.stream] == 1}
    events = list(_events(entries))
    slots: dict[tuple[str, bytes], int] = {}
    return (
        names,
        fresh,
        [alone.get(name, 0) for name in fresh],
        [index[entry.stream] for entry in entries],
        [entry.expected_version for entry in entries],
        [len(entry.events) for entry in entries],
        [
            slots.setdefault((entry.stream, event.event_id), n)
            for n, (entry, _, event) in enumerate(events, start=1)
        ],
        _bytes(event.event_id for _, _, event in events),
        [entry.stream for entry, _, _ in events],
        [version for _, version, _ in events],
        [entry.category for entry, _, _ in events],
        [event.account_id for _, _, event in events],
        [event.type for _, _, event in events],
        [event.schema_version for _, _, event in events],
        _bytes(event.payload for _, _, event in events),
        _bytes(event.metadata for _, _, event in events),
        _bytes(digest(e.stream, version, e.category, event) for e, version, event in events),
    )


def _events(entries: Sequence[Entry]) -> Iterator[tuple[Entry, int, Any]]:
    for entry in entries:
        for version, event in enumerate(entry.events, start=entry.expected_version + 1):
            yield entry, version, event


def _bytes(values: Iterable[bytes]) -> str:
    # One literal: an ARRAY[…] of constants would cost the server's parser more than the insert.
    return "{" + ",".join(f'"\\\\x{value.hex()}"' for value in values) + "}"


def _rows(connection: Connection, query: str, parameters: Sequence[object]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def _recorded(row: tuple[Any, ...]) -> Recorded:
    found = Recorded._make(row)
    return found._replace(
        event_id=bytes(found.event_id),
        payload=bytes(found.payload),
        metadata=bytes(found.metadata),
        digest=bytes(found.digest),
    )


def _identify(connection: Connection) -> str:
    ((found,),) = _rows(connection, "SELECT max(version_num) FROM log.alembic_version", ())
    if found is None or found < MIGRATION:
        raise refusal("log_not_migrated", f"The log is at {found}; {MIGRATION} is needed.")
    ((log_id,),) = _rows(connection, "SELECT log_id FROM log.head", ())
    return str(log_id)

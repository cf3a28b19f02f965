"""Appends to the log in PostgreSQL, by the functions of its schema (deploy/migrations/log), in
whatever transaction the connection is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import UniqueViolation

from shared.eventlog import Appended, Conflict, Entry, digest
from shared.eventlog.postgres_pool import Connection
from shared.eventlog.postgres_statements import APPEND, APPEND_EVENT, APPEND_ONE, call

_WRITTEN, _CLASH = -1, -2  # What log.append says of an entry that is no conflict.


class Clash(NamedTuple):
    """Only a part of the entry's events is in its stream."""

    stream: str


Outcome = Appended | Conflict | Clash


def append_shortly(connection: Connection, entries: Sequence[Entry]) -> list[Outcome]:
    """``append``, by a shorter way where there is one. Not for a transaction that is open, unless
    the ids of its events are new."""
    if len(entries) == 1 and entries[0].events:
        try:
            done = append_one(connection, entries[0])
        except UniqueViolation:  # Another writer was faster with the same ids.
            done = None
        if done is not None:
            return [done]
    return append(connection, entries)


def append_one(connection: Connection, entry: Entry) -> Appended | None:
    """Calls ``log.append_event`` or ``log.append_one``: ``None`` where ``append`` has to say what
    there is to say."""
    many = len(entry.events)
    if many == 1:
        ((place,),) = call(connection, APPEND_EVENT, _of_event(entry))
        return Appended((place,)) if place else None
    ((written, base),) = call(connection, APPEND_ONE, _of_one(entry))
    return Appended(tuple(range(base + 1, base + many + 1))) if written else None


def _of_event(entry: Entry) -> tuple[object, ...]:
    (event,) = entry.events
    version = entry.expected_version + 1
    return (
        entry.stream,
        entry.expected_version,
        entry.category,
        psycopg2.Binary(event.event_id),
        event.account_id,
        event.type,
        event.schema_version,
        psycopg2.Binary(event.payload),
        psycopg2.Binary(event.metadata),
        psycopg2.Binary(digest(entry.stream, version, entry.category, event)),
    )


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
    ((base, actual, positions),) = call(connection, APPEND, parameters(entries))
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


def _outcome(entry: Entry, actual: int, positions: tuple[int, ...], *, earlier: bool) -> Outcome:
    if actual == _WRITTEN:
        return Appended(positions, earlier)
    if actual == _CLASH:
        return Clash(entry.stream)
    return Conflict(entry.stream, entry.expected_version, actual)


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

"""The event log in KurrentDB: positions are places in the server's log, so they grow with gaps.

The path of the address is the log's name; its streams are called ``name.stream``, so that a server
may hold several logs and streams of others. The server judges the expected version; a repeated
event id it recognises only at the version where the first try put it, so we look for ids
ourselves. Why and how: docs/adr/0009-kurrentdb-log.md.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from shared.errors import Broken
from shared.eventlog import Appended, Conflict, Entry, Recorded, checked
from shared.eventlog.kurrentdb_bell import Listener
from shared.eventlog.kurrentdb_client import CALL_SECONDS, Client, Link, log_name
from shared.eventlog.kurrentdb_form import fits, fitting, recorded, sent
from shared.eventlog.kurrentdb_memory import Memory, joined
from shared.eventlog.kurrentdb_threads import NewEvent, StreamState, exceptions
from shared.refusals import refusal

_TRIES = 3


class KurrentLog:
    """An ``EventLog`` in KurrentDB. Safe for many threads and processes.

    ``address`` is the client's (``kurrentdb://user:password@host:2113/name?tls=true``).
    ``on_append`` is called after our own appends and, from another thread, after all appends.
    ``seconds`` is how long one call to the server may take; it is made twice before it is refused.
    """

    contiguous = False
    knows_earlier = False  # The server answers as to the first when somebody sends the same events.

    def __init__(
        self,
        address: str,
        on_append: Callable[[], None] | None = None,
        seconds: float = CALL_SECONDS,
    ) -> None:
        self._seconds = seconds
        name = log_name(address)
        self._prefix = f"{name}."
        self._ours = {
            "filter_include": (self._prefix,),
            "filter_by_stream_name": True,
            "filter_by_prefix": True,
            "timeout": seconds,
        }
        self._on_append = on_append
        self._memory = Memory()
        self._link = Link(address, seconds)
        self.log_id: str = self._link.call(lambda client: _identify(client, name, seconds))
        self._listener: Listener | None = None
        if on_append is not None:
            self._listener = Listener(self._link, self._ours, on_append)

    def append_batch(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        """See ``EventLog.append_batch``. One entry after the other, each for itself."""
        wanted = checked(entries)
        try:
            return [self._append(entry) for entry in wanted]
        finally:  # Also a caller who was refused may have written a part.
            if self._on_append is not None:
                self._on_append()

    def read_stream(self, stream: str) -> list[Recorded]:
        """See ``EventLog.read_stream``. Raises ``log_has_hole`` where its events were deleted."""
        return self.read_streams((stream,)).get(stream, [])

    def read_streams(self, streams: Iterable[str]) -> dict[str, list[Recorded]]:
        """See ``EventLog.read_streams``."""
        found: dict[str, list[Recorded]] = {}
        left = sorted(set(streams))
        for _ in range(_TRIES):
            left = self._read_on(found, left)
            if not left:
                return {name: list(events) for name, events in found.items() if events}
        raise refusal("log_went_back", f"{left[0]} is another one at every look.")

    def read_all(self, after: int, limit: int) -> list[Recorded]:
        """See ``EventLog.read_all``."""
        # Reading begins with the event at the position, if that is one of ours.
        start = {"commit_position": after} if after else {}
        found = self._read_all(limit=limit + 1, **start) if limit else []
        return [event for event in found if event.position > after][:limit]

    def read_last(self, limit: int) -> list[Recorded]:
        """See ``EventLog.read_last``."""
        return self._read_all(limit=limit, backwards=True)[::-1] if limit else []

    def read_at(self, position: int) -> Recorded | None:
        """See ``EventLog.read_at``."""
        try:
            found = self._read_all(limit=1, commit_position=position)
        except Broken as error:
            if error.code == "log_went_back":
                return None
            raise
        return found[0] if found and found[0].position == position else None

    def head(self) -> int:
        """See ``EventLog.head``."""
        last = self.read_last(1)
        return last[0].position if last else 0

    def close(self) -> None:
        """Ends the listener and the connection."""
        if self._listener is not None:
            self._listener.close()
        self._link.close()

    def _read_on(self, found: dict[str, list[Recorded]], names: list[str]) -> list[str]:
        """Puts the streams into ``found``, but for those that do not fit what was held of them:
        the log went back, and they are to be read again, from the beginning."""
        held = {name: self._memory.held(name) for name in names}
        read = self._link.call(
            lambda client: {name: self._since(client, name, len(held[name])) for name in names}
        )
        for name in names:
            events = joined(held[name], read[name])
            if events is not None:
                found[name] = _whole(name, events)
            self._memory.hold(name, events or [])
        return [name for name in names if name not in found]

    def _append(self, entry: Entry) -> Appended | Conflict:
        known = self._known(entry)
        for _ in range(_TRIES):
            outcome = _judge(entry, known)
            if outcome is not None:
                return outcome
            try:
                positions = self._link.call(partial(self._write, entry))
            except exceptions.WrongCurrentVersionError:  # Somebody was faster. What is there now?
                known = _ids(self.read_stream(entry.stream))
                continue
            return Appended(positions)
        raise refusal("busy", f"The stream {entry.stream} changed again and again.")

    def _known(self, entry: Entry) -> Mapping[bytes, int]:
        """The events that the stream had at the expected version: whatever comes later, the server
        refuses. What it had at version 0, or when we last looked, is not asked for again."""
        if entry.expected_version == 0:
            return {}
        held = self._memory.held(entry.stream)
        return _ids(held if len(held) == entry.expected_version else self.read_stream(entry.stream))

    def _write(self, entry: Entry, client: Client) -> tuple[int, ...]:
        stream, before = self._prefix + entry.stream, entry.expected_version
        last = client.append_to_stream(
            stream,
            events=sent(entry),
            current_version=before - 1 if before else StreamState.NO_STREAM,
            timeout=self._seconds,
        )
        many = len(entry.events)
        if many == 1 and fits(last):
            return (last,)
        written = client.get_stream(
            stream, stream_position=before, limit=many, timeout=self._seconds
        )
        return tuple(fitting(stored.commit_position) for stored in written)

    def _since(self, client: Client, stream: str, version: int) -> list[Recorded]:
        """From the event with this version on, from the first on for 0."""
        first = version - 1 if version else None
        try:
            stored = client.get_stream(
                self._prefix + stream, stream_position=first, timeout=self._seconds
            )
        except exceptions.NotFoundError:
            return []
        return [recorded(one, self._prefix) for one in stored]

    def _read_all(self, **what: Any) -> list[Recorded]:
        def read(client: Client) -> list[Recorded]:
            found = client.get_all(**self._ours, **what)
            return [recorded(one, self._prefix) for one in found]

        return self._link.call(read)


def _whole(stream: str, events: list[Recorded]) -> list[Recorded]:
    if events and events[-1].version != len(events):
        raise refusal("log_has_hole", f"Events of {stream} were deleted in KurrentDB.")
    return events


def _ids(events: Iterable[Recorded]) -> dict[bytes, int]:
    return {event.event_id: event.position for event in events}


def _judge(entry: Entry, known: Mapping[bytes, int]) -> Appended | Conflict | None:
    """What a log says of the entry where these events are in its stream; ``None``: write it."""
    found = [known[event.event_id] for event in entry.events if event.event_id in known]
    if len(found) == len(entry.events):
        return Appended(tuple(found), earlier=True)
    if len(known) != entry.expected_version:
        return Conflict(entry.stream, entry.expected_version, len(known))
    if found:
        raise refusal("event_id_clash", f"Only a part of the events is in {entry.stream}.")
    return None


def _identify(client: Client, name: str, seconds: float) -> str:
    """The log's id. Who opens it first writes it into the stream that is called as the log."""
    made = NewEvent("LogCreated", msgspec.json.encode({"log_id": str(uuid.uuid4())}))
    with contextlib.suppress(exceptions.WrongCurrentVersionError):
        client.append_to_stream(
            name, events=[made], current_version=StreamState.NO_STREAM, timeout=seconds
        )
    (first,) = client.get_stream(name, limit=1, timeout=seconds)
    return msgspec.json.decode(first.data, type=dict[str, str])["log_id"]

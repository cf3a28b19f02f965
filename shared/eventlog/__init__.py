"""The event log: the only truth, and the outbox. This module is the port; backends stand beside it.

A backend promises order, the exact expected version, an event id that is idempotent within its
stream, growing positions, reading after a position. The suite ``tests/contract/test_event_log.py``
is run against every backend.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from shared.refusals import refusal


class NewEvent(NamedTuple):
    """An event on its way into the log: everything the writer decides. ``event_id`` is 16 bytes."""

    event_id: bytes
    account_id: str
    type: str
    schema_version: int
    payload: bytes
    metadata: bytes


class Entry(NamedTuple):
    """Events for one stream, valid if the stream is at ``expected_version`` (0 = not there yet)."""

    stream: str
    category: str
    expected_version: int
    events: tuple[NewEvent, ...]


class Recorded(NamedTuple):
    """An event of the log. ``recorded_at`` is machine time in microseconds since 1970, UTC."""

    position: int
    event_id: bytes
    stream: str
    version: int
    category: str
    account_id: str
    type: str
    schema_version: int
    payload: bytes
    metadata: bytes
    recorded_at: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """The entry stands in the log at these positions. ``earlier``: an earlier try has written it,
    and what it wrote need not be what this one would have written."""

    positions: tuple[int, ...]
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """The entry was not written: the stream is at another version."""

    stream: str
    expected: int
    actual: int


class EventLog(Protocol):
    """What every backend offers. Any method may raise ``Unavailable``: repeating the call is safe,
    because what was written all the same is known by its event ids.

    ``contiguous``: positions are 1, 2, 3 … without gaps. Otherwise they only grow.
    ``knows_earlier``: ``Appended.earlier`` is right also where another process was faster.
    """

    log_id: str
    contiguous: bool
    knows_earlier: bool

    def append_batch(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        """Writes the entries, each for itself: a conflict of one does not stop the others.

        An entry whose event ids are all in its stream already answers with their positions. One at
        the right version of which only a part is there raises ``event_id_clash``; at a stale
        version it is a conflict like any other. Raises what ``checked`` raises.
        """

    def read_stream(self, stream: str) -> list[Recorded]:
        """The whole stream, oldest first; empty if there is none."""

    def read_streams(self, streams: Iterable[str]) -> dict[str, list[Recorded]]:
        """Several streams at once; those that are not there are left out."""

    def read_all(self, after: int, limit: int) -> list[Recorded]:
        """Events of all streams behind a position, in order. ``after`` is 0 or the position of an
        event; a log that is not contiguous may refuse any other with ``log_went_back``."""

    def read_last(self, limit: int) -> list[Recorded]:
        """The last events of all streams, in order."""

    def read_at(self, position: int) -> Recorded | None:
        """The event at exactly this position."""

    def head(self) -> int:
        """The last position; 0 for an empty log."""

    def close(self) -> None:
        """Lets go of files and connections."""


def checked(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries, if a log may see them: what every ``append_batch`` looks at first.

    Raises ``event_id_repeated`` where an id is twice in one entry. A log could neither say which of
    the two a later try means, nor write both.
    """
    for entry in entries:
        if len({event.event_id for event in entry.events}) < len(entry.events):
            raise refusal("event_id_repeated", f"An event id is twice in one for {entry.stream}.")
    return entries


def digest(stream: str, version: int, category: str, event: NewEvent) -> bytes:
    """SHA-256 over length-prefixed fields: what we send, nothing that the store assigns.

    Each field is preceded by its length in bytes as 4 bytes, big-endian. Whole numbers are decimal
    text. Golden vectors: ``tests/contract/golden/digests.json``.
    """
    fields = (
        event.event_id,
        stream.encode(),
        b"%d" % version,
        category.encode(),
        event.account_id.encode(),
        event.type.encode(),
        b"%d" % event.schema_version,
        event.payload,
        event.metadata,
    )
    prefixed = [len(field).to_bytes(4, "big") + field for field in fields]
    return hashlib.sha256(b"".join(prefixed)).digest()

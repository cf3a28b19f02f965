"""Writes events that the domain decides, many at once: a filled log in seconds and not in hours.

Every event comes out of ``decide`` of its aggregate, on the state that its stream has, and passes
through the real codec; only loading and waiting are left out.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.aggregate import Aggregate
from shared.codec import Codec, Meta, encode_meta
from shared.eventlog import Appended, Entry, EventLog, NewEvent
from shared.ids import event_id_text
from shared.messages import event_type, subjects_of

_AT_ONCE = 2000
_TICK = timedelta(milliseconds=10)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a command, and what further commands name as their cause."""

    events: tuple[Any, ...]
    event_id: str
    correlation_id: str


@dataclass(slots=True)
class _Stream:
    state: Any
    version: int = 0


class Writer:
    """Decides commands on streams it keeps in memory until ``forget``, and appends in batches."""

    def __init__(self, log: EventLog, codec: Codec, seed: str) -> None:
        self.now = BEGIN
        self.written = 0
        self._log = log
        self._codec = codec
        self._chance = random.Random(seed)
        self._streams: dict[str, _Stream] = {}
        self._entries: list[Entry] = []

    def do(self, aggregate: Aggregate, command: object, cause: Told | None = None) -> Told:
        """Decides one command. Raises its refusal: a filled log has none."""
        name = aggregate.stream(command)
        stream = self._streams.setdefault(name, _Stream(aggregate.initial))
        events = tuple(aggregate.decide(command, stream.state))
        stream.state = aggregate.fold(stream.state, events)
        told = self._tell(Entry(name, aggregate.category, stream.version, ()), events, cause)
        stream.version += len(events)
        return told

    def new_id(self) -> uuid.UUID:
        """The id of a command from the edge."""
        return uuid.UUID(int=self._chance.getrandbits(128), version=4)

    def forget(self) -> None:
        """The streams written so far will not be written to again."""
        self._streams.clear()

    def flush(self) -> None:
        """Appends what is waiting. Raises ``RuntimeError`` for a conflict: the filling is wrong."""
        outcomes = self._log.append_batch(self._entries)
        if not all(isinstance(outcome, Appended) for outcome in outcomes):
            raise RuntimeError("the log already holds one of these streams")
        self._entries = []

    def _tell(self, entry: Entry, events: Sequence[Any], cause: Told | None) -> Told:
        command_id = self.new_id()
        self.now += _TICK
        correlation_id = cause.correlation_id if cause else command_id.hex
        news = tuple(self._new(e, n, command_id, cause) for n, e in enumerate(events))
        if news:
            self._entries.append(entry._replace(events=news))
            self.written += len(news)
        if len(self._entries) >= _AT_ONCE:
            self.flush()
        last = event_id_text(news[-1].event_id) if news else ""
        return Told(tuple(events), last, correlation_id)

    def _new(self, event: Any, n: int, command_id: uuid.UUID, cause: Told | None) -> NewEvent:
        kind = event_type(type(event))
        event_id = uuid.uuid5(command_id, str(n)).bytes
        meta = Meta(
            command_id=command_id,
            correlation_id=cause.correlation_id if cause else command_id.hex,
            causation_id=cause.event_id if cause else "",
            actor="policy:bench" if cause else "key:bench",
            occurred_at=self.now,
            subjects=subjects_of(event),
        )
        return NewEvent(
            event_id=event_id,
            account_id=getattr(event, "account_id", ""),
            type=kind.name,
            schema_version=kind.version,
            payload=self._codec.encode(event, event_id),
            metadata=encode_meta(meta),
        )

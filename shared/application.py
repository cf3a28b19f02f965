"""Runs commands: load the stream, fold it, decide, append at the expected version.

Code that appended never publishes: the log is the outbox. The application looks for the command's
id in the stream before it decides; if it is there, what was recorded then is the answer, because
the state may have moved on between two deliveries (architecture section 6).
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared import failpoints, tracing
from shared.aggregate import Aggregate
from shared.codec import Codec, Meta, decode_meta, encode_meta
from shared.errors import PbxError
from shared.eventlog import Appended, Conflict, Entry, EventLog, NewEvent, Recorded
from shared.messages import event_type, subjects_of
from shared.refusals import refusal

_TRIES = 50
_PAUSE_SECONDS = 0.002
_MOST_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Order:
    """A command on its way: what to do, and who asks for it. ``now`` is business time."""

    command: Any
    command_id: uuid.UUID
    now: datetime
    actor: str
    correlation_id: str
    causation_id: str = ""
    traceparent: str = ""

    def sibling(self, command: object, *parts: str) -> Order:
        """Another command of the same piece of work, with an id derived from this one's."""
        child = uuid.uuid5(self.command_id, "\x1f".join(parts))
        return replace(self, command=command, command_id=child)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command. ``position`` is that of the stream's last event of this command, or
    of the stream when nothing had to be recorded; ``state`` is the aggregate's after it."""

    position: int
    events: tuple[Any, ...]
    state: Any
    replayed: bool = False


@dataclass(slots=True)
class _Stream:
    """One loaded stream, and what commands want to add to it."""

    name: str
    aggregate: Aggregate
    state: Any
    version: int
    position: int
    past: list[Recorded]
    new: list[NewEvent] = field(default_factory=list)
    waiting: dict[int, Done] = field(default_factory=dict)
    deciding: set[uuid.UUID] = field(default_factory=set)


class Application:
    """The only way into the log. One per process; safe for threads."""

    def __init__(self, log: EventLog, codec: Codec, aggregates: Iterable[Aggregate]) -> None:
        self.log = log
        self.codec = codec
        self._by_command: Mapping[type, Aggregate] = {
            command: aggregate for aggregate in aggregates for command in aggregate.commands
        }

    def execute(self, order: Order) -> Done:
        """Runs one command. Raises what ``decide`` raises; ``busy`` after too many conflicts."""
        (done,) = accepted(self.execute_many([order]))
        return done

    def execute_many(self, orders: Sequence[Order]) -> list[Done | PbxError]:
        """Runs commands together: one load, one batch; only conflicts are decided again.

        Two commands for one stream are decided one after the other. The answer has one item per
        command: what was done, or the refusal. ``Unavailable`` of the log is raised as it is.
        """
        spans = [tracing.begin(type(o.command).__name__, o.traceparent) for o in orders]
        if any(spans):
            orders = [_traced(order, span) for order, span in zip(orders, spans, strict=True)]
        found = self._executed(orders)
        for span, outcome in zip(spans, found, strict=True):
            tracing.end(span, outcome if isinstance(outcome, PbxError) else None)
        return found

    def _executed(self, orders: Sequence[Order]) -> list[Done | PbxError]:
        outcomes: dict[int, Done | PbxError] = {}
        for attempt in range(_TRIES):
            open_orders = {n: o for n, o in enumerate(orders) if n not in outcomes}
            if not open_orders:
                break
            _pause(attempt)
            self._round(open_orders, outcomes)
        busy = refusal("busy", "Others changed the same thing again and again.")
        return [outcomes.get(n, busy) for n in range(len(orders))]

    def load(self, aggregate: Aggregate, key: str) -> Any:
        """The state of one aggregate, folded from its stream."""
        name = f"{aggregate.category}-{key}"
        return self._folded(name, aggregate, self.log.read_stream(name)).state

    def _round(self, orders: Mapping[int, Order], outcomes: dict[int, Done | PbxError]) -> None:
        streams = self._load(orders.values())
        for n, order in orders.items():
            stream = streams[self._stream_of(order)]
            self._decide(n, order, stream, outcomes)
        self._append([s for s in streams.values() if s.new], outcomes)

    def _stream_of(self, order: Order) -> str:
        return self._by_command[type(order.command)].stream(order.command)

    def _load(self, orders: Iterable[Order]) -> dict[str, _Stream]:
        wanted = {self._stream_of(o): self._by_command[type(o.command)] for o in orders}
        stored = self.log.read_streams(wanted)
        return {s: self._folded(s, a, stored.get(s, [])) for s, a in wanted.items()}

    def _folded(self, name: str, aggregate: Aggregate, past: list[Recorded]) -> _Stream:
        state = aggregate.fold(aggregate.initial, map(self._decoded, past))
        position = past[-1].position if past else 0
        return _Stream(name, aggregate, state, len(past), position, past)

    def _decoded(self, stored: Recorded) -> Any:
        event = self.codec.decode(
            stored.type, stored.schema_version, stored.payload, stored.event_id
        )
        if event is None:  # Deciding without it would be deciding on a wrong state.
            detail = f"{stored.stream} holds {stored.type}, which this code does not know."
            raise refusal("code_older_than_log", detail)
        return event

    def _decide(
        self, n: int, order: Order, stream: _Stream, outcomes: dict[int, Done | PbxError]
    ) -> None:
        answered = self._answered(order, stream)
        if answered is not None:
            outcomes[n] = answered
            return
        if order.command_id in stream.deciding:
            return  # The same command twice: the next round finds what the first one recorded.
        try:
            events = tuple(stream.aggregate.decide(order.command, stream.state))
        except PbxError as error:
            # It may rest on what another command of this round has not yet written.
            if not stream.new:
                outcomes[n] = error
            return
        self._take(n, order, stream, events, outcomes)

    def _take(
        self,
        n: int,
        order: Order,
        stream: _Stream,
        events: tuple[Any, ...],
        outcomes: dict[int, Done | PbxError],
    ) -> None:
        stream.state = stream.aggregate.fold(stream.state, events)
        if not events and not stream.new:
            outcomes[n] = Done(stream.position, (), stream.state)
            return
        stream.deciding.add(order.command_id)
        stream.new += [self._new(order, event, k) for k, event in enumerate(events)]
        stream.waiting[n] = Done(len(stream.new), events, stream.state)

    def _answered(self, order: Order, stream: _Stream) -> Done | None:
        marker = str(order.command_id).encode()
        mine = [
            r
            for r in stream.past
            if marker in r.metadata and decode_meta(r.metadata).command_id == order.command_id
        ]
        if not mine:
            return None
        return Done(mine[-1].position, tuple(map(self._decoded, mine)), stream.state, replayed=True)

    def _new(self, order: Order, event: Any, n: int) -> NewEvent:
        kind = event_type(type(event))
        event_id = uuid.uuid5(order.command_id, str(n)).bytes
        return NewEvent(
            event_id=event_id,
            account_id=getattr(event, "account_id", ""),
            type=kind.name,
            schema_version=kind.version,
            payload=self.codec.encode(event, event_id),
            metadata=encode_meta(_meta(order, event)),
        )

    def _append(self, streams: list[_Stream], outcomes: dict[int, Done | PbxError]) -> None:
        entries = [Entry(s.name, s.aggregate.category, s.version, tuple(s.new)) for s in streams]
        if not entries:
            return
        failpoints.reach("append.before")
        results = self.log.append_batch(entries)
        failpoints.reach("append.after")
        for stream, result in zip(streams, results, strict=True):
            if not isinstance(result, Conflict):
                _settle(stream, result, outcomes)


def accepted(outcomes: Iterable[Done | PbxError]) -> list[Done]:
    """What was done. Raises the first refusal among the outcomes."""
    done: list[Done] = []
    for outcome in outcomes:
        if isinstance(outcome, PbxError):
            raise outcome
        done.append(outcome)
    return done


def _settle(stream: _Stream, result: Appended, outcomes: dict[int, Done | PbxError]) -> None:
    for n, done in stream.waiting.items():
        written = done.position  # Until now: how many of the entry's events come up to it.
        position = result.positions[written - 1] if written else stream.position
        outcomes[n] = replace(done, position=position)


def _traced(order: Order, span: tracing.Span | None) -> Order:
    return order if span is None else replace(order, traceparent=span.traceparent)


def _meta(order: Order, event: object) -> Meta:
    return Meta(
        command_id=order.command_id,
        correlation_id=order.correlation_id,
        causation_id=order.causation_id,
        actor=order.actor,
        occurred_at=order.now,
        subjects=subjects_of(event),
        traceparent=order.traceparent,
    )


def _pause(attempt: int) -> None:
    if attempt:
        longest = min(_MOST_PAUSE_SECONDS, _PAUSE_SECONDS * 2**attempt)
        time.sleep(random.uniform(0, longest))  # nosec B311  # Jitter, no secret.

"""Runs commands: load the stream, fold it, decide, append at the expected version.

Code that appended never publishes: the log is the outbox. The application looks for the command's
id in the stream before it decides; if it is there, what was recorded then is the answer, because
the state may have moved on between two deliveries (architecture section 6).

Streams used lately are not read again: what is decided on what is remembered of them is appended at
its version, or decided once more on what the log says. A refusal, nothing to record, and a command
that was seen before rest on the log alone (ADR 19).
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared import failpoints, tracing
from shared.aggregate import Aggregate
from shared.codec import Codec, Meta, decode_meta, encode_meta
from shared.errors import PbxError
from shared.eventlog import Appended, Conflict, Entry, EventLog, NewEvent, Recorded
from shared.known_streams import MOST_EVENTS, Known, KnownStreams
from shared.messages import event_type, subjects_of
from shared.order import Done, Order, accepted
from shared.refusals import refusal

__all__ = ["Application", "Done", "Order", "accepted"]
_TRIES = 50
_PAUSE_SECONDS = 0.002
_MOST_PAUSE_SECONDS = 0.05


@dataclass(slots=True)
class _Stream:
    """One stream, and what commands want to add to it. ``past`` is ``None`` where nothing was read,
    but remembered: then ``commands`` are those that have written it."""

    name: str
    aggregate: Aggregate
    state: Any
    version: int
    position: int
    past: list[Recorded] | None
    commands: set[uuid.UUID] = field(default_factory=set)
    new: list[NewEvent] = field(default_factory=list)
    waiting: dict[int, Done] = field(default_factory=dict)
    deciding: set[uuid.UUID] = field(default_factory=set)

    @property
    def remembered(self) -> bool:
        """Whether the log may know more of it by now."""
        return self.past is None

    def known(self, position: int) -> Known:
        """What there is to remember once all that is new stands in the log."""
        if self.past is not None:
            self.commands = {decode_meta(r.metadata).command_id for r in self.past}
        self.commands |= self.deciding
        return Known(self.state, self.version + len(self.new), position, self.commands)


class Application:
    """The only way into the log. One per process; safe for threads."""

    def __init__(self, log: EventLog, codec: Codec, aggregates: Iterable[Aggregate]) -> None:
        self.log = log
        self.codec = codec
        self._by_command: Mapping[type, Aggregate] = {
            command: aggregate for aggregate in aggregates for command in aggregate.commands
        }
        self._known = KnownStreams(MOST_EVENTS if log.knows_earlier else 0)

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
        conflicts = 0
        for attempt in range(_TRIES):
            open_orders = {n: o for n, o in enumerate(orders) if n not in outcomes}
            if not open_orders:
                break
            _pause(conflicts)
            conflicts += self._round(open_orders, outcomes, remembering=attempt == 0)
        busy = refusal("busy", "Others changed the same thing again and again.")
        return [outcomes.get(n, busy) for n in range(len(orders))]

    def load(self, aggregate: Aggregate, key: str) -> Any:
        """The state of one aggregate, folded from its stream."""
        name = f"{aggregate.category}-{key}"
        return self._folded(name, aggregate, self.log.read_stream(name)).state

    def _round(
        self,
        orders: Mapping[int, Order],
        outcomes: dict[int, Done | PbxError],
        *,
        remembering: bool,
    ) -> bool:
        """Says whether others were faster with what was read a moment ago."""
        streams = self._load(orders.values(), remembering=remembering)
        for n, order in orders.items():
            stream = streams[self._stream_of(order)]
            self._decide(n, order, stream, outcomes)
        for stream in streams.values():
            if stream.past and not stream.new:
                self._known.keep(stream.name, stream.known(stream.position))
        return self._append([s for s in streams.values() if s.new], outcomes)

    def _stream_of(self, order: Order) -> str:
        return self._by_command[type(order.command)].stream(order.command)

    def _load(self, orders: Collection[Order], *, remembering: bool) -> dict[str, _Stream]:
        wanted = {self._stream_of(o): self._by_command[type(o.command)] for o in orders}
        trusting = remembering and self.log.knows_earlier
        found = self._remembered(wanted, orders) if trusting else {}
        unknown = [name for name in wanted if name not in found]
        stored = self.log.read_streams(unknown) if unknown else {}
        return found | {s: self._folded(s, wanted[s], stored.get(s, [])) for s in unknown}

    def _remembered(
        self, wanted: Mapping[str, Aggregate], orders: Collection[Order]
    ) -> dict[str, _Stream]:
        begun = {self._stream_of(o) for o in orders if not self._begins(o)}
        new = {s: Known(a.initial, 0, 0, set()) for s, a in wanted.items() if s not in begun}
        return {
            name: _Stream(name, wanted[name], k.state, k.version, k.position, None, k.commands)
            for name, k in (new | self._known.find(wanted)).items()
        }

    def _begins(self, order: Order) -> bool:
        kind = type(order.command)
        return kind in self._by_command[kind].begins

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
        if order.command_id in stream.commands or order.command_id in stream.deciding:
            return  # The same command again: the next round reads what the first one recorded.
        try:
            events = tuple(stream.aggregate.decide(order.command, stream.state))
        except PbxError as error:
            # It may rest on what another command of this round has not yet written, or on what the
            # log knows better.
            if not stream.new and not stream.remembered:
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
            if not stream.remembered:
                outcomes[n] = Done(stream.position, (), stream.state)
            return
        stream.deciding.add(order.command_id)
        stream.new += [self._new(order, event, k) for k, event in enumerate(events)]
        stream.waiting[n] = Done(len(stream.new), events, stream.state)

    def _answered(self, order: Order, stream: _Stream) -> Done | None:
        marker = str(order.command_id).encode()
        mine = [
            r
            for r in stream.past or ()
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

    def _append(self, streams: list[_Stream], outcomes: dict[int, Done | PbxError]) -> bool:
        entries = [Entry(s.name, s.aggregate.category, s.version, tuple(s.new)) for s in streams]
        if not entries:
            return False
        failpoints.reach("append.before")
        results = self.log.append_batch(entries)
        failpoints.reach("append.after")
        beaten = False
        for stream, result in zip(streams, results, strict=True):
            if isinstance(result, Conflict) or result.earlier:
                self._known.forget(stream.name)
                beaten = beaten or not stream.remembered
            else:
                _settle(stream, result, outcomes)
                self._known.keep(stream.name, stream.known(result.positions[-1]))
        return beaten


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

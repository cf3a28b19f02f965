"""What a service of this process can reach: the application, its stores, its clocks, its views.

One object, built once at the start and handed down. Nothing connects at import.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from shared.application import Application, Done, Order
from shared.clock import BusinessClock, Clock
from shared.config import Settings
from shared.errors import PbxError, Refusal, Unavailable
from shared.happened import Happened
from shared.platform import RecordRefusal
from shared.rpc import CallContext
from shared.spec import Process, Steps
from shared.stores import Store

_FRESH_SECONDS = 2.0


class Progress:
    """How far each projection is; whoever waits for one is woken when it moves.

    Waiting for one stream (an order that runs) wakes only when a projection wrote an event of it.
    """

    # Of who waits for a stream: how long until the first look, and between two at the most.
    first_look_seconds = 0.0
    looks_every_seconds = math.inf

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._positions: dict[str, int] = {}
        self._watched: dict[str, list[threading.Event]] = {}

    def report(self, positions: Mapping[str, int], streams: Iterable[str] = ()) -> None:
        """Takes over where the projections are now, and which streams they have just shown."""
        with self._changed:
            self._positions.update(positions)
            self._changed.notify_all()
            for stream in streams if self._watched else ():
                for event in self._watched.get(stream, ()):
                    event.set()

    def positions(self) -> dict[str, int]:
        """Where each of them is that has reported."""
        with self._changed:
            return dict(self._positions)

    def wake_all(self) -> None:
        """Has everybody look again who waits for a stream: which ones were shown is not known."""
        with self._changed:
            for event in chain.from_iterable(self._watched.values()):
                event.set()

    def position(self, names: Iterable[str]) -> int:
        """Where the slowest of them is; 0 for one that has not reported yet."""
        return min((self._positions.get(name, 0) for name in names), default=0)

    def wait_for(
        self, names: Iterable[str], position: int, seconds: float = _FRESH_SECONDS
    ) -> bool:
        """Waits until all of them have passed the position; says whether they have."""
        wanted = tuple(names)
        with self._changed:
            return self._changed.wait_for(lambda: self.position(wanted) >= position, seconds)

    def wait_on(self, stream: str, holds: Callable[[], bool], seconds: float) -> bool:
        """Waits until something about one stream holds; says whether it does."""
        event = threading.Event()
        with self._changed:
            self._watched.setdefault(stream, []).append(event)
        try:
            return self._wait_on(event, holds, time.monotonic() + seconds)
        finally:
            self._unwatch(stream, event)

    def _wait_on(self, event: threading.Event, holds: Callable[[], bool], end: float) -> bool:
        pause = self.first_look_seconds
        while True:
            if (left := min(pause, end - time.monotonic())) > 0:
                event.wait(left)
            event.clear()
            if holds():
                return True
            if time.monotonic() >= end:
                return False
            pause = self.looks_every_seconds

    def _unwatch(self, stream: str, event: threading.Event) -> None:
        with self._changed:
            self._watched[stream].remove(event)
            if not self._watched[stream]:
                del self._watched[stream]


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The surroundings of one service in this process."""

    settings: Settings
    application: Application
    state: Store
    views: Store
    clock: BusinessClock
    machine: Clock
    progress: Progress
    processes: dict[type, Process] = field(default_factory=dict)

    def order(self, context: CallContext, command: object, *parts: str) -> Order:
        """A caller's command, under the id that its key gives it."""
        return Order(
            command=command,
            command_id=context.command_id(*parts),
            now=self.clock.now(),
            actor=context.actor,
            correlation_id=context.correlation_id,
            traceparent=context.traceparent,
        )

    def run(self, order: Order) -> Done | None:
        """Runs a command or a process. A process answers nothing."""
        if type(order.command) not in self.processes:
            return self.application.execute(order)
        (running,) = self._side_by_side([order])
        if running.refused is not None:
            raise running.refused
        return None

    def run_many(self, service: str, orders: list[Order]) -> None:
        """Runs commands nobody waits for. A refusal is recorded as an event; ``Unavailable`` is
        raised, because repeating all of it later is safe."""
        plain = [o for o in orders if type(o.command) not in self.processes]
        refused = [
            _refusal(service, order, outcome)
            for order, outcome in zip(plain, self.application.execute_many(plain), strict=True)
            if isinstance(outcome, PbxError)
        ]
        processes = [o for o in orders if type(o.command) in self.processes]
        refused += [
            _refusal(service, running.order, running.refused)
            for running in self._side_by_side(processes)
            if running.refused is not None
        ]
        if refused:
            self.application.execute_many(refused)

    def _side_by_side(self, orders: list[Order]) -> list[_Running]:
        """Runs processes; what all of them want next is one batch, and so one commit."""
        begun = [_Running(order, self.processes[type(order.command)]) for order in orders]
        for running in begun:
            running.begin(self)
        while going := [running for running in begun if running.wants is not None]:
            wanted = [order for running in going for order in running.wants or ()]
            outcomes = iter(self.application.execute_many(wanted))
            for running in going:
                running.go_on([next(outcomes) for _ in running.wants or ()])
        return begun

    def fresh(self, context: CallContext, *projections: str) -> bool:
        """Waits until the views have passed what the caller has seen (at most 2 s)."""
        if context.at_least <= 0:  # Nothing yet: no view can be older.
            return True
        return self.progress.wait_for(projections, context.at_least)


@dataclass(slots=True)
class _Running:
    """A process on its way: the commands it wants run now, ``None`` at its end."""

    order: Order
    process: Process
    steps: Steps | None = None
    wants: Sequence[Order] | None = None
    refused: Refusal | None = None

    def begin(self, runtime: Runtime) -> None:
        try:
            self.steps = self.process(runtime, self.order)
            self.wants = next(self.steps, None) if self.steps is not None else None
        except Refusal as error:
            self.refused = error

    def go_on(self, outcomes: list[Done | PbxError]) -> None:
        self.wants = None
        try:
            self.wants = self.steps.send(outcomes) if self.steps is not None else None
        except StopIteration:
            pass
        except Refusal as error:
            self.refused = error


def _refusal(service: str, order: Order, error: PbxError) -> Order:
    if isinstance(error, Unavailable):
        raise error
    command = RecordRefusal(
        refused_id=str(order.command_id),
        service=service,
        command=type(order.command).__name__,
        stream="",
        code=error.code,
        detail=error.detail,
    )
    return order.sibling(command, "refused")


def reaction(event: Happened, service: str, n: int, command: Any, clock: BusinessClock) -> Order:
    """A policy's command, with an id that the same event always gives it."""
    cause = uuid.UUID(bytes=event.stored.event_id)
    return Order(
        command=command,
        command_id=uuid.uuid5(cause, f"{service}:{n}"),
        now=clock.now(),
        actor=f"policy:{service}",
        correlation_id=event.meta.correlation_id,
        causation_id=event.id,
        traceparent=event.meta.traceparent,
    )

"""What the processes count: calls, the events of the log, and what waits in the state.

Each class has ``collect``, which ``start_health`` and the gateway's ``/metrics`` ask when somebody
scrapes; nothing here costs anything in between. Names and meaning: ``docs/how-to/watch-it.md``.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import msgspec
from prometheus_client import Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from shared import tracing
from shared.consumers import effect_rows, parking
from shared.errors import PbxError, Refusal, Unavailable
from shared.eventlog import EventLog
from shared.metrics import gauge, tried
from shared.rpc import CallContext, Client
from shared.runtime import Runtime
from shared.stores import Store

Collect = Callable[[], Iterable[Metric]]
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_AT_ONCE = 500
_MOST_AT_ONCE = 20_000  # Per scrape: some tenths of a second. The rest comes with the next one.
# How an order ends. A refund may come after it, and more than once.
_OUTCOMES = {
    "OrderFulfilled": "fulfilled",
    "OrderFailed": "failed",
    "OrderNeedsOperator": "needs_operator",
    "OrderRefunded": "refunded",
}


class Calls:
    """Durations of calls by service, method and outcome: ``ok``, ``refused``, ``unavailable`` or
    ``broken``. ``side`` is ``server`` or ``client``."""

    def __init__(self, side: str) -> None:
        self._seconds = Histogram(
            f"pbxim_rpc_{side}_seconds",
            f"How long calls took, as the {side} saw it.",
            ["service", "method", "outcome"],
            buckets=_SECONDS,
            registry=None,
        )
        self._known: dict[tuple[str, ...], Histogram] = {}

    def timed(self, service: str, method: str) -> AbstractContextManager[None]:
        """Measures what is done inside, and goes by what it raises."""
        return _Timed(self._took, service, method)

    def _took(self, seconds: float, *labels: str) -> None:
        if (found := self._known.get(labels)) is None:
            found = self._known[labels] = self._seconds.labels(*labels)
        found.observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """The histogram."""
        return self._seconds.collect()


class _Timed(AbstractContextManager[None]):
    # No generator: it is part of every call.
    __slots__ = ("_began", "_labels", "_took")

    def __init__(self, took: Callable[..., None], *labels: str) -> None:
        self._took = took
        self._labels = labels
        self._began = time.monotonic()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        taken = time.monotonic() - self._began
        outcome = "ok" if error is None else _outcome(error)
        self._took(taken, *self._labels, outcome)


class Measured:
    """A client that measures its calls, and traces them where that is set up."""

    def __init__(self, client: Client, calls: Calls) -> None:
        self._client = client
        self._calls = calls

    def call(self, service: str, method: str, context: CallContext, **arguments: Any) -> Any:
        """See ``Client.call``."""
        named = f"{service}.{method}"
        with (
            self._calls.timed(service, method),
            tracing.span(named, context.traceparent, "client") as within,
        ):
            if within != context.traceparent:
                context = msgspec.structs.replace(context, traceparent=within)
            return self._client.call(service, method, context, **arguments)


class LogEvents:
    """What was appended to the log since somebody asked first, and how orders ended.

    It reads on from where it was when somebody asks, so the figures are the log's and not those of
    one process: with several processes that show them take the highest, not the sum.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._position: int | None = None
        self._types: Counter[str] = Counter()

    def collect(self) -> Iterator[Metric]:
        """Counters by type and by outcome. Raises ``Unavailable`` without the log."""
        with self._lock:
            self._read_on()
            types = dict(self._types)
        events = CounterMetricFamily("pbxim_events", "Events appended.", labels=["type"])
        for name, number in sorted(types.items()):
            events.add_metric([name], number)
        ended = CounterMetricFamily("pbxim_orders", "How orders ended.", labels=["outcome"])
        for name, outcome in _OUTCOMES.items():
            ended.add_metric([outcome], types.get(name, 0))
        yield from (events, ended)

    def _read_on(self) -> None:
        if self._position is None:
            self._position = self._log.head()
        for _ in range(_MOST_AT_ONCE // _AT_ONCE):
            batch = self._log.read_all(self._position, _AT_ONCE)
            if not batch:
                return
            self._types.update(event.type for event in batch)
            self._position = batch[-1].position


class Waiting:
    """What waits in a state: parked events per consumer, effects per service."""

    def __init__(self, state: Store) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Gauges; nothing is counted twice by two processes of one state, so take the highest."""
        self._state.create(parking.PARKING)
        self._state.create(effect_rows.EFFECTS)
        with self._state.read() as connection:
            parked = parking.counted(connection)
            waiting = effect_rows.counted(connection)
        yield _gauges("pbxim_parked", "Events put aside.", ["consumer", "status"], parked)
        yield _gauges("pbxim_effects", "Calls not done yet.", ["service", "state"], waiting)


def of_runtime(runtime: Runtime) -> tuple[Collect, Collect]:
    """What log and state of a process say."""
    return LogEvents(runtime.application.log).collect, Waiting(runtime.state).collect


def of_relay(position: int, head: int, *, active: bool, waits: bool) -> list[Metric]:
    """How far the relay is."""
    return [
        gauge("pbxim_relay_position", "Up to where RabbitMQ has everything.", position),
        gauge("pbxim_relay_lag", "Events not published yet.", max(0, head - position)),
        gauge("pbxim_relay_active", "1 for the relay that publishes.", active),
        gauge("pbxim_relay_waits_for_broker", "1 while RabbitMQ is away.", waits),
    ]


def together(*collects: Collect) -> Collect:
    """Several collectors as one. One that fails takes nothing from the others."""
    return lambda: chain.from_iterable(tried(collect) for collect in collects)


def _outcome(error: BaseException) -> str:
    match error:
        case Refusal():
            return "refused"
        case Unavailable():
            return "unavailable"
        case PbxError() | Exception():
            return "broken"
        case _:
            return "cancelled"


def _gauges(
    name: str, says: str, labels: list[str], counted: Iterable[tuple[str, str, int]]
) -> Metric:
    family = GaugeMetricFamily(name, says, labels=labels)
    for first, second, number in counted:
        family.add_metric([first, second], number)
    return family

"""Puts services together in one process: log, stores, application, consumers, workers.

The one composition root: nothing here connects before ``assemble`` is called, and everything that
is built is handed down from here.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from deploy.clock_service import ClockService
from deploy.stored_progress import StoredProgress
from shared import sealing
from shared.advancing import Advancing
from shared.application import Application, Order
from shared.breaker import Breaker
from shared.clock import BusinessClock, MachineClock
from shared.codec import Codec
from shared.config import Settings
from shared.consumers import Consumer
from shared.consumers.effects import (
    Effect,
    EffectIntake,
    EffectWorker,
    NotSentError,
    OutcomeUnknownError,
    WorkerPool,
    release_claims,
)
from shared.consumers.engine import Bell, Engine
from shared.consumers.feed import Feed
from shared.consumers.policies import PolicyConsumer
from shared.consumers.projections import ProjectionConsumer
from shared.consumers.timers import Scheduler, timer_projection
from shared.eventlog import EventLog
from shared.eventlog.sqlite import SqliteLog
from shared.ids import command_id
from shared.platform import PLATFORM, ClockAdvanced, StartInstallation
from shared.refusals import refusal
from shared.rpc import LocalClient
from shared.runtime import Progress, Runtime
from shared.spec import ServiceSpec
from shared.stores import Store, StoredKeyring, has_room


def all_specs() -> tuple[ServiceSpec, ...]:
    """The services of the product, but for the gateway."""
    from services import billing, inventory, orders, porting, routing

    return tuple(s.spec() for s in (inventory, orders, routing, porting, billing))


@dataclass
class Assembly:
    """A running system in one process, or one that a test steps by hand."""

    settings: Settings
    runtime: Runtime
    specs: tuple[ServiceSpec, ...]
    engine: Engine
    bell: Bell
    feed: Feed
    client: LocalClient
    workers: dict[str, tuple[EffectWorker, ...]]
    advancing: Advancing
    pools: list[WorkerPool] = field(default_factory=list)

    def start(self) -> None:
        """Starts the engine's thread and the effect workers."""
        self.engine.start()
        for pool in self.pools:
            pool.start()

    def stop(self, seconds: float = 1.0) -> None:
        """Ends the threads, then lets go of the files."""
        self.engine.stop(seconds)
        for pool in self.pools:
            pool.stop(seconds)
        self.close()

    def close(self) -> None:
        """Lets go of the files."""
        self.runtime.application.log.close()
        self.runtime.state.close()
        self.runtime.views.close()

    def status(self) -> dict[str, Any]:
        """Where every consumer is and whether it stands still, and whether there is room to write:
        for ``/readyz``."""
        head = self.runtime.application.log.head()
        consumers = {
            c.name: {"position": c.position, "lag": head - c.position, "failure": c.failure}
            for c in self.engine.consumers
        }
        failed = [name for name, found in consumers.items() if found["failure"]]
        room = has_room(self.settings.data)
        return {
            "mode": self.settings.mode,
            "ready": room and not failed,
            "storage": "ok" if room else "full",
            "head": head,
            "log_id": self.runtime.application.log.log_id,
            "consumers": consumers,
        }

    def projections(self) -> list[ProjectionConsumer]:
        """The read models of this process."""
        return [c for c in self.engine.consumers if isinstance(c, ProjectionConsumer)]

    def settle(self) -> None:
        """Steps consumers and effect workers until nothing has work, and the test clock has come
        to where it was put forward to. For tests: threads do this in a process that runs."""
        while self.engine.settle() or self._worked() or self.advancing.step():
            pass

    def _worked(self) -> bool:
        return any(w.step() for ws in self.workers.values() for w in ws)


def assemble(
    settings: Settings,
    specs: Sequence[ServiceSpec] | None = None,
    machine: MachineClock | None = None,
) -> Assembly:
    """Builds everything from the settings; the data folder is made if it is not there.

    Raises ``setting_invalid``, ``log_of_other_mode``, ``log_went_back``.
    """
    chosen = tuple(specs) if specs is not None else all_specs()
    bell = Bell()
    runtime = _runtime(settings, chosen, machine or MachineClock(), bell)
    _start_installation(runtime)
    feed = Feed(runtime.application.log, runtime.application.codec)
    pools: dict[str, WorkerPool] = {}
    effects = {spec.name: spec.effects(runtime) for spec in chosen}
    workers = _workers(effects, feed, runtime, pools)
    consumers = list(_consumers(chosen, effects, feed, runtime, pools))
    advancing = Advancing(runtime, consumers)
    engine = Engine(consumers, runtime.progress, bell, advancing.idle_seconds, advancing.step)
    called: dict[str, object] = {spec.name: spec.rpc(runtime) for spec in chosen}
    if settings.sandbox:
        called[ClockService.name] = ClockService(runtime, advancing, bell)
    return Assembly(
        settings,
        runtime,
        chosen,
        engine,
        bell,
        feed,
        LocalClient(called),
        workers,
        advancing,
        [*pools.values()],
    )


def serving_runtime(settings: Settings) -> Runtime:
    """What services stand on that only answer calls: their consumers run in another process. Raises
    what ``assemble`` raises."""
    runtime = _runtime(settings, all_specs(), MachineClock(), Bell())
    _start_installation(runtime)
    return replace(runtime, progress=StoredProgress(runtime.views))


def make_folder(settings: Settings) -> None:
    """Makes the data folder if it is not there, for nobody else to read. Raises ``setting_invalid``
    where that cannot be."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=settings.data).close()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise refusal("storage_full", f"There is no room in {settings.data}.") from error
        allowed = "allowed is a folder that can be made and written"
        detail = f"PBXIM_DATA is '{settings.data}' ({error.strerror}); {allowed}."
        raise refusal("setting_invalid", detail, param="PBXIM_DATA") from error


def open_log(settings: Settings, on_append: Callable[[], None] | None = None) -> EventLog:
    """The event log that the settings name. Raises ``Unavailable`` and ``log_not_migrated``."""
    if settings.log.startswith("postgresql:"):
        from shared.eventlog.postgres import PostgresLog

        return PostgresLog(settings.log, on_append)
    return SqliteLog(settings.data / "log.db", on_append)


def _runtime(
    settings: Settings, specs: tuple[ServiceSpec, ...], machine: MachineClock, bell: Bell
) -> Runtime:
    make_folder(settings)
    state = Store(settings.data / "state.db", durable=True)
    master = sealing.load_key_file(settings.key_file, create=settings.sandbox)
    codec = Codec(StoredKeyring(state, master))
    log = open_log(settings, bell.ring)
    aggregates = [a for spec in specs for a in spec.aggregates]
    return Runtime(
        settings=settings,
        application=Application(log, codec, [PLATFORM, *aggregates]),
        state=state,
        views=Store(settings.data / "views.db", durable=False),
        clock=BusinessClock(machine),
        machine=machine,
        progress=Progress(),
        processes={k: v for spec in specs for k, v in spec.processes.items()},
    )


def _start_installation(runtime: Runtime) -> None:
    order = Order(
        command=StartInstallation(mode=runtime.settings.mode),
        command_id=command_id("installation", runtime.settings.mode),
        now=runtime.clock.now(),
        actor="system",
        correlation_id="installation",
    )
    runtime.application.execute(order)
    state = runtime.application.load(PLATFORM, "installation")
    # A command recorded earlier is answered without being judged again, so judge the mode here.
    PLATFORM.decide(order.command, state)
    runtime.clock.learn(state.offset)


def _consumers(
    specs: tuple[ServiceSpec, ...],
    effects: dict[str, tuple[Effect, ...]],
    feed: Feed,
    runtime: Runtime,
    pools: dict[str, WorkerPool],
) -> Iterable[Consumer]:
    yield ClockLearner(feed, runtime)
    for spec in specs:
        if spec.policy is not None:
            yield PolicyConsumer(spec.name, spec.policy, feed, runtime)
    for spec in specs:
        if effects[spec.name]:
            theirs = effects[spec.name]
            yield EffectIntake(spec.name, theirs, feed, runtime, pools[spec.name].ring)
    schedulers = []
    for spec in specs:
        for projection in spec.projections:
            yield ProjectionConsumer(projection, feed, runtime.views)
        if spec.timers is not None:
            projection, table = timer_projection(spec.name, spec.timers)
            view = ProjectionConsumer(projection, feed, runtime.views)
            schedulers.append(Scheduler(spec.name, spec.timers, table, view, runtime))
            yield view
    yield from schedulers


def _workers(
    effects: dict[str, tuple[Effect, ...]],
    feed: Feed,
    runtime: Runtime,
    pools: dict[str, WorkerPool],
) -> dict[str, tuple[EffectWorker, ...]]:
    workers: dict[str, tuple[EffectWorker, ...]] = {}
    for service, theirs in effects.items():
        if not theirs:
            continue
        release_claims(runtime, service)
        breakers = {
            e.provider: Breaker((NotSentError, OutcomeUnknownError), NotSentError) for e in theirs
        }
        size = max(e.at_once for e in theirs)
        made = tuple(EffectWorker(service, theirs, feed, runtime, breakers) for _ in range(size))
        workers[service] = made
        pools[service] = WorkerPool(partial(next, iter(made)), size)
    return workers


class ClockLearner:
    """Keeps the business clock of this process in step with the log."""

    name = "clock"
    failure: str | None = None

    def __init__(self, feed: Feed, runtime: Runtime) -> None:
        self._feed = feed
        self._clock = runtime.clock
        self.position = 0

    def step(self) -> bool:
        """Looks through the next events for a clock that was put forward."""
        batch = self._feed.read(self.position, 4096)
        if not batch:
            return False
        for event in batch:
            if event.type == "ClockAdvanced":
                moved: ClockAdvanced = event.message
                self._clock.learn(timedelta(seconds=moved.offset_seconds))
        self.position = batch[-1].position
        return True

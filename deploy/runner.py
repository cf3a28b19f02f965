"""What a service does without being asked: policies, read models, effects, timers.

``python -m deploy.runner orders``; several services may be named, and share one reader of the log.
The bell is the log's own (NOTIFY, a subscription), and a look once a second. One runner of a
service is active, by lock; another one stands by. If two are active all the same (the database
took a lock for lost), fenced checkpoints and ids that come from events make it harmless.

One whose session was lost builds everything anew when it has its lock again: another one may have
been active, or the database restored, which every consumer looks for when it begins.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric

from deploy.assembly import status_of
from deploy.ground import Ground, all_specs
from deploy.health import Health, start_health
from deploy.metrics import Waiting, together
from deploy.pace import Pace
from deploy.processes import settings_of, until_told, when_there
from deploy.progress import AnnouncingProgress
from deploy.single import Lock, make_lock
from deploy.works import Works, make_works
from shared import logging
from shared.clock import MachineClock
from shared.config import Settings
from shared.consumers.engine import Bell, Engine
from shared.consumers.feed import News
from shared.refusals import refusal
from shared.spec import ServiceSpec
from shared.stores import Store

_log = logging.logger("runner")
_STAND_BY_SECONDS = 0.2
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_STUCK_SECONDS = 30.0


@dataclass
class Runner:
    """A running engine with its effect workers, for some services."""

    ground: Ground
    works: Works
    engine: Engine
    progress: AnnouncingProgress
    states: list[Store]

    def start(self) -> None:
        """Starts the threads."""
        self.progress.start()
        self.engine.start()
        for pool in self.works.pools:
            pool.start()

    def status(self) -> dict[str, Any]:
        """For ``/readyz``."""
        return status_of(self.ground, self.engine)

    def collect(self) -> Iterable[Metric]:
        """For ``/metrics``: what waits in the services' states."""
        return together(*(Waiting(state).collect for state in self.states))()

    @property
    def turned(self) -> bool:
        """Whether the engine has turned lately."""
        return time.monotonic() - self.engine.turned < _STUCK_SECONDS

    def stop(self) -> None:
        """Ends the threads after what they are at; lets go of everything."""
        self.engine.stop(_STOP_SECONDS)
        for pool in self.works.pools:
            pool.stop(_STOP_SECONDS)
        self.progress.close()
        self.ground.close()


class _Shown:
    """What health says: of the active runner, or that this one stands by."""

    def __init__(self) -> None:
        self.runner: Runner | None = None

    def status(self) -> dict[str, Any]:
        found = self.runner
        return {"active": found is not None, **(found.status() if found else {"ready": True})}

    def collect(self) -> Iterable[Metric]:
        found = self.runner
        return found.collect() if found else ()


def make_runner(settings: Settings, specs: tuple[ServiceSpec, ...], address: str) -> Runner:
    """Builds it. Raises what ``Ground`` raises."""
    bell, news = Bell(), News()
    progress = AnnouncingProgress(address, ",".join(spec.name for spec in specs))

    def appended() -> None:
        news.ring()  # First: whom the bell wakes, asks.
        bell.ring()

    ground = Ground(settings, all_specs(), MachineClock(), progress, appended)
    works = make_works(ground, specs, news)
    for spec in specs:
        spec.rpc(ground.runtime(spec.name))  # Makes the tables that are asked before they fill.
    pace = Pace(works.feed, works.urgent)
    engine = Engine(works.consumers, progress, bell, pace=pace, one_look=works.feed.one_look)
    progress.many_events = lambda: pace.dense
    progress.offset = lambda: ground.clock.offset
    progress.failures = lambda: {c.name: c.failure for c in works.consumers if c.failure}
    states = [ground.runtime(spec.name).state for spec in specs]
    return Runner(ground, works, engine, progress, states)


def _chosen(names: list[str]) -> tuple[ServiceSpec, ...]:
    known = {spec.name: spec for spec in all_specs()}
    if not names or set(names) - set(known):
        detail = f"Name one or more of: {', '.join(known)}."
        raise refusal("setting_invalid", detail, param="service")
    return tuple(known[name] for name in names)


def _run(names: list[str], stopping: threading.Event) -> None:
    specs = _chosen(names)
    settings = settings_of("a runner", "database")
    lock = make_lock(settings, *(f"runner:{spec.name}" for spec in specs))
    shown = _Shown()
    health = start_health(settings, shown.status, shown.collect, settings.process or "runner")
    while not stopping.is_set() and _mine(lock, stopping, health):
        runner = when_there(lambda: make_runner(settings, specs, settings.database or ""), stopping)
        if runner is None:
            break
        shown.runner = runner
        _work(runner, names, lambda: not stopping.wait(_LOOK_SECONDS) and lock.held(), health)
        shown.runner = None
        runner.stop()
        _log.info("runner_stopped", services=names)
    lock.release()
    health.close()


def _work(runner: Runner, names: list[str], goes_on: Callable[[], bool], health: Health) -> None:
    runner.start()
    _log.info("runner_active", services=names)
    while goes_on():
        if runner.turned:
            health.beat()


def _mine(lock: Lock, stopping: threading.Event, health: Health) -> bool:
    told = False
    while not stopping.is_set():
        health.beat()
        if when_there(lock.acquire, stopping):
            return True
        if not told:
            _log.info("runner_stands_by")
            told = True
        stopping.wait(_STAND_BY_SECONDS)
    return False


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    until_told(lambda stopping: _run(sys.argv[1:], stopping), "runner")


if __name__ == "__main__":
    main()

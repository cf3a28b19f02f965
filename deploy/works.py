"""The consumers and effect workers of a process, for the services that it works for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from deploy.ground import Ground
from shared.breaker import Breaker
from shared.clock import BusinessClock
from shared.consumers import Consumer
from shared.consumers.effect_pool import WorkerPool
from shared.consumers.effect_rows import release_claims
from shared.consumers.effects import (
    Effect,
    EffectIntake,
    EffectWorker,
    NotSentError,
    OutcomeUnknownError,
)
from shared.consumers.feed import Feed, News
from shared.consumers.policies import PolicyConsumer
from shared.consumers.projections import ProjectionConsumer
from shared.consumers.timers import Scheduler, timer_projection
from shared.messages import event_type
from shared.platform import ClockAdvanced
from shared.runtime import Runtime
from shared.spec import ServiceSpec


@dataclass(frozen=True)
class Works:
    """What is stepped (``consumers``, in this order) and what works beside it; ``urgent`` are the
    types of events that somebody waits for: they are answered, or shown to whoever waits."""

    feed: Feed
    consumers: list[Consumer]
    workers: dict[str, tuple[EffectWorker, ...]]
    pools: list[WorkerPool]
    urgent: frozenset[str]

    @property
    def schedulers(self) -> list[Scheduler]:
        """Those that fire timers."""
        return [c for c in self.consumers if isinstance(c, Scheduler)]


def make_works(ground: Ground, specs: Sequence[ServiceSpec], news: News | None = None) -> Works:
    """Builds consumers and workers of these services; one reader of the log for all of them, which
    asks it when there is ``news``."""
    feed = Feed(ground.log, ground.application.codec, news)
    made = [_Service(spec, ground.runtime(spec.name), feed) for spec in specs]
    consumers: list[Consumer] = [ClockLearner(feed, ground.clock)]
    consumers += [policy for one in made for policy in one.policies()]
    consumers += [intake for one in made for intake in one.intakes()]
    consumers += [view for one in made for view in one.views()]
    consumers += [scheduler for one in made for scheduler in one.schedulers]
    workers = {one.spec.name: one.workers for one in made if one.workers}
    pools = [one.pool for one in made if one.pool is not None]
    urgent = frozenset(event_type(cls).name for one in made for cls in one.urgent())
    return Works(feed, consumers, workers, pools, urgent)


class _Service:
    """One service's part of it."""

    def __init__(self, spec: ServiceSpec, runtime: Runtime, feed: Feed) -> None:
        self.spec = spec
        self._runtime = runtime
        self._feed = feed
        self._effects = spec.effects(runtime)
        self.workers = _workers(spec.name, self._effects, feed, runtime)
        size = len(self.workers)
        self.pool = WorkerPool(partial(next, iter(self.workers)), size) if size else None
        self.schedulers: list[Scheduler] = []

    def urgent(self) -> Iterable[type]:
        spec = self.spec
        yield from spec.policy.events if spec.policy else ()
        yield from (cls for one in spec.projections for cls in one.awaited)
        yield from (cls for one in self._effects for cls in one.events)

    def policies(self) -> Iterable[Consumer]:
        if self.spec.policy is not None:
            yield PolicyConsumer(self.spec.name, self.spec.policy, self._feed, self._runtime)

    def intakes(self) -> Iterable[Consumer]:
        if self.pool is not None:
            name, ring = self.spec.name, self.pool.ring
            yield EffectIntake(name, self._effects, self._feed, self._runtime, ring)

    def views(self) -> Iterable[Consumer]:
        for projection in self.spec.projections:
            yield ProjectionConsumer(projection, self._feed, self._runtime.views)
        if self.spec.timers is not None:
            projection, table = timer_projection(self.spec.name, self.spec.timers)
            view = ProjectionConsumer(projection, self._feed, self._runtime.views)
            made = Scheduler(self.spec.name, self.spec.timers, table, view, self._runtime)
            self.schedulers.append(made)
            yield view


def _workers(
    service: str, effects: tuple[Effect, ...], feed: Feed, runtime: Runtime
) -> tuple[EffectWorker, ...]:
    if not effects:
        return ()
    release_claims(runtime, service)
    breakers = {
        e.provider: Breaker((NotSentError, OutcomeUnknownError), NotSentError) for e in effects
    }
    size = max(e.at_once for e in effects)
    return tuple(EffectWorker(service, effects, feed, runtime, breakers) for _ in range(size))


class ClockLearner:
    """Keeps the business clock of this process in step with the log."""

    name = "clock"
    failure: str | None = None

    def __init__(self, feed: Feed, clock: BusinessClock) -> None:
        self._feed = feed
        self._clock = clock
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

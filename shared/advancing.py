"""Puts business time forward, sandbox only: each thing due happens in order, at its own time.

Next due instant → set the clock → everything is stepped until nothing has work → repeat. The
stepping is the engine's: it asks ``step`` in its own thread whenever no consumer has work, so no
consumer is ever stepped by two threads. While what is due at one instant is done the clock stands
still, so ``occurred_at`` says that instant.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, insert, select, update

from shared import logging
from shared.application import Order
from shared.clock import Clock
from shared.consumers import Consumer
from shared.consumers.effect_rows import work_is_waiting
from shared.consumers.timers import Due, Scheduler
from shared.ids import command_id
from shared.platform import AdvanceClock
from shared.refusals import refusal
from shared.runtime import Runtime
from shared.stores import Store

_log = logging.logger("clock")
MOST = timedelta(days=3653)
_MOST_LISTED = 100
_MOST_COUNTED = 10_000  # At one instant.
_AHEAD = timedelta(minutes=1)
_MICRO = 1e-6
_WAITING_SECONDS = 0.01
JOBS = MetaData()
_job = Table(
    "clock_job",
    JOBS,
    Column("job_id", String, primary_key=True),
    Column("status", String, nullable=False),
    Column("job", LargeBinary, nullable=False),
)


@dataclass
class Job:
    """One advance. ``due`` lists the first things that became due, ``happened`` counts all."""

    job_id: str
    since: datetime
    to: datetime
    reached: datetime
    status: str = "queued"
    happened: int = 0
    due: list[Due] = field(default_factory=list)
    detail: str = ""

    @property
    def percent(self) -> int:
        """How much of the way is behind it."""
        if self.status == "done":
            return 100
        return min(99, int(100 * ((self.reached - self.since) / (self.to - self.since))))


class Watched(Protocol):
    """The consumers and effects whose rest is waited for, wherever they run."""

    @property
    def schedulers(self) -> Sequence[Scheduler]:
        """Those that know what is due next."""

    def standing(self) -> list[str]:
        """Consumers that an error has stopped."""

    @property
    def runs_on(self) -> bool:
        """Whether their business time goes on while that of the advance is held."""

    def has_work(self) -> bool:
        """Whether an event is not yet consumed, or an effect is under way or could begin now."""


class OwnProcess:
    """Everything runs in this process (embedded)."""

    runs_on = False  # They read the very clock that is held.

    def __init__(
        self,
        consumers: Sequence[Consumer],
        states: Sequence[Store],
        machine: Clock,
        head: Callable[[], int],
    ) -> None:
        self.schedulers = [c for c in consumers if isinstance(c, Scheduler)]
        self._consumers = consumers
        self._states = list({id(state): state for state in states}.values())
        self._machine = machine
        self._head = head

    def standing(self) -> list[str]:
        """See ``Watched.standing``."""
        return [c.name for c in self._consumers if c.failure]

    def has_work(self) -> bool:
        """See ``Watched.has_work``."""
        # In this order: an effect that has just ended has written its outcome before.
        now = self._machine.now()
        if any(work_is_waiting(state, now) for state in self._states):
            return True
        head = self._head()
        return any(c.position < head for c in self._consumers)


class Advancing:
    """One advance at a time. ``start`` is called by anybody, ``step`` by the engine alone."""

    def __init__(self, runtime: Runtime, watched: Watched) -> None:
        self._runtime = runtime
        self._watched = watched
        self._schedulers = watched.schedulers
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._running: tuple[Job, Order] | None = None
        self._soon: set[Due] = set()
        self._set_at = runtime.machine.now()
        runtime.state.create(JOBS)
        self._give_up_interrupted()

    def start(self, job_id: str, to: datetime, order: Order) -> Job:
        """Begins an advance to an instant; the same id again is the same advance. ``order`` says
        who asks. Raises ``clock_backwards``, ``clock_busy``, ``invalid_value``."""
        with self._lock:
            known = self._find(job_id)
            if known is not None:
                return known
            now = self._runtime.clock.now()
            _check(to, now)
            if self._running is not None:
                raise refusal("clock_busy")
            job = Job(job_id, now, to, now)
            self._save(job)
            self._soon.clear()
            self._running = (job, order)
        _log.info("clock_advancing", actor=order.actor, to=to.isoformat(), job=job_id)
        return job

    def job(self, job_id: str) -> Job:
        """How far an advance is. Raises ``job_unknown``."""
        with self._lock:
            found = self._find(job_id)
        if found is None:
            raise refusal("job_unknown")
        return found

    def wait(self, job_id: str, seconds: float) -> None:
        """Waits until an advance has ended, or for so long."""

        def over() -> bool:
            return self._running is None or self._running[0].job_id != job_id

        with self._ended:
            self._ended.wait_for(over, seconds)

    def waiting(self, limit: int) -> list[Due]:
        """What is due next, in order."""
        return sorted(d for s in self._schedulers for d in s.waiting(limit))[:limit]

    def idle_seconds(self) -> float:
        """How long the engine may sleep: an effect that ends may ring no bell."""
        return _WAITING_SECONDS if self._running is not None else math.inf

    def step(self) -> bool:
        """Goes on with the advance, if there is one and nothing has work. Says whether it did."""
        running = self._running
        if running is None:
            return False
        try:
            return self._go_on(*running)
        except Exception as error:  # noqa: BLE001  # Whatever it is, the clock must run again.
            _log.exception("clock_failed", job=running[0].job_id)
            self._end(running[0], "failed", f"{type(error).__name__}: {error}")
            return True

    def _go_on(self, job: Job, order: Order) -> bool:
        standing = self._watched.standing()
        if standing:
            self._end(job, "failed", f"These stand still: {', '.join(standing)}.")
            return True
        if self._has_work():
            return False
        now = self._runtime.clock.now()
        if now >= job.to:
            self._end(job, "done")
            return True
        dues = (s.next_due(now) for s in self._schedulers)
        self._set(job, order, min((job.to, *(due for due in dues if due is not None))))
        return True

    def _has_work(self) -> bool:
        return any(s.overdue() for s in self._schedulers) or self._watched.has_work()

    def _set(self, job: Job, order: Order, at: datetime) -> None:
        clock = self._runtime.clock
        due = self._become_due(job, at)  # Looked up before: once the time is set, they are fired.
        wanted = at - self._runtime.machine.now()
        if wanted > clock.offset:
            seconds = wanted.total_seconds()
            # A float of so many seconds may fall a microsecond short.
            seconds += _MICRO if timedelta(seconds=seconds) < wanted else 0
            sibling = order.sibling(AdvanceClock(offset_seconds=seconds), at.isoformat())
            self._runtime.application.execute(replace(sibling, now=at))
            clock.learn(timedelta(seconds=seconds))
        clock.hold(at)
        self._set_at = self._runtime.machine.now()
        job.happened += len(due)
        job.due += due[: _MOST_LISTED - len(job.due)]
        job.status, job.reached = "running", at

    def _become_due(self, job: Job, at: datetime) -> list[Due]:
        found = (s.waiting(_MOST_COUNTED, job.reached, at + _AHEAD) for s in self._schedulers)
        known = {due for of_one in found for due in of_one} | self._fired_meanwhile(job)
        self._soon = {due for due in known if due.at > at}
        return sorted(known - self._soon)

    def _fired_meanwhile(self, job: Job) -> set[Due]:
        # Where business time runs on in other processes, what is due a moment after the last
        # instant is fired, and gone from the view, before anybody asks what is due next.
        if not self._watched.runs_on:
            return set()
        by_now = job.reached + (self._runtime.machine.now() - self._set_at)
        return {due for due in self._soon if due.at <= by_now}

    def _end(self, job: Job, status: str, detail: str = "") -> None:
        job.status, job.detail = status, detail
        with self._ended:
            self._save(job)
            self._running = None
            self._runtime.clock.run()
            self._ended.notify_all()
        _log.info("clock_advanced", status=status, reached=job.reached.isoformat(), job=job.job_id)

    def _find(self, job_id: str) -> Job | None:
        if self._running is not None and self._running[0].job_id == job_id:
            return self._running[0]
        with self._runtime.state.read() as connection:
            raw = connection.execute(select(_job.c.job).where(_job.c.job_id == job_id)).scalar()
        return None if raw is None else msgspec.json.decode(raw, type=Job)

    def _save(self, job: Job) -> None:
        values = {"status": job.status, "job": msgspec.json.encode(job)}
        this = _job.c.job_id == job.job_id
        with self._runtime.state.write() as connection:
            if connection.execute(update(_job).where(this).values(values)).rowcount == 0:
                connection.execute(insert(_job).values(job_id=job.job_id, **values))

    def _give_up_interrupted(self) -> None:
        query = select(_job.c.job).where(_job.c.status.in_(("queued", "running")))
        with self._runtime.state.read() as connection:
            found = list(connection.execute(query).scalars())
        for raw in found:
            job = msgspec.json.decode(raw, type=Job)
            job.status, job.detail = "failed", "The program ended meanwhile. Put it forward again."
            self._save(job)


def _check(to: datetime, now: datetime) -> None:
    if to < now:
        raise refusal("clock_backwards", f"It is {now.isoformat()} already.", param="to")
    if to - now > MOST:
        raise refusal("invalid_value", f"At most {MOST.days} days at once.", param="to")


def job_id_of(key: str) -> str:
    """The id of an advance: the same for the same request."""
    return f"job_clock_{command_id('clock', key).hex[:20]}"

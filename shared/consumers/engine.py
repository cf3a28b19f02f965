"""Drives the consumers of a process: one thread, one loop, woken by the bell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from shared import logging
from shared.consumers import Consumer
from shared.consumers.policies import PolicyConsumer
from shared.consumers.projections import ProjectionConsumer
from shared.consumers.timers import Scheduler
from shared.consumers.together import Together
from shared.errors import Unavailable
from shared.runtime import Progress

_log = logging.logger("engine")
_SLOW_POLL_SECONDS = 1.0
_URGENT_ROUNDS = 8
_MOST_REST_SECONDS = 0.04


class Bell:
    """Says "there is something after your checkpoint". Ringing costs next to nothing."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rung = False

    def ring(self) -> None:
        """Wakes whoever waits, now or at the next wait."""
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Sleeps until rung, or for so long."""
        with self._changed:
            if not self._rung:
                self._changed.wait(seconds)
            self._rung = False


def _plainly(consumer: Consumer) -> bool:
    return consumer.step()


def _nothing() -> bool:
    return False


class Engine:
    """Steps its consumers in turn. Tests call ``step`` and ``settle`` instead of a thread."""

    def __init__(
        self,
        consumers: Sequence[Consumer],
        progress: Progress,
        bell: Bell,
        idle_seconds: Callable[[], float] = lambda: _SLOW_POLL_SECONDS,
        when_idle: Callable[[], bool] = _nothing,
        pace: Callable[[], float] = lambda: 0.0,
        one_look: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """``when_idle`` is asked in the engine's own thread when no consumer has work; it says
        whether it made some (the test clock). ``pace`` says how many seconds lie between the
        beginnings of two rounds at least: one round for several events costs less than several.
        ``one_look`` is entered for each round of consumers (``Feed.one_look``)."""
        self.consumers = list(consumers)
        self._late = [c for c in consumers if isinstance(c, ProjectionConsumer | Scheduler)]
        self._urgent = [c for c in consumers if c not in self._late]
        self._together = Together(c for c in consumers if isinstance(c, ProjectionConsumer))
        self._progress = progress
        self._bell = bell
        self._idle_seconds = idle_seconds
        self._when_idle = when_idle
        self._pace = pace
        self._one_look = one_look
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._paused: dict[str, float] = {}
        self._reported = False
        self.turned = time.monotonic()  # When its thread began its last round.

    def step(self, one: Callable[[Consumer], bool] = _plainly) -> bool:
        """One step of every consumer; says whether any did something. The first one counts:
        whoever waits for a view learns from it where the views have been since the start."""
        urgent = self._step_urgent(one)
        with self._one_look():
            stepped = {} if self._pausing else self._together.step()
            worked = [stepped[c] if c in stepped else one(c) for c in self._late]
        moved = urgent or any(worked) or not self._reported
        if moved:
            self._report()
        return moved

    @property
    def _pausing(self) -> bool:
        return any(until > time.monotonic() for until in self._paused.values())

    def _step_urgent(self, one: Callable[[Consumer], bool]) -> bool:
        # A purchase is a chain of policies. Views are written once for several of its links.
        for rounds in range(_URGENT_ROUNDS):
            with self._one_look():
                worked = [one(consumer) for consumer in self._urgent]
            if not any(worked):
                return rounds > 0
        return True

    def settle(self, most: int = 10_000) -> int:
        """Steps until nothing has work; says how many rounds that took."""
        for rounds in range(most):
            if not self.step():
                self._report()
                return rounds
        message = f"the consumers did not come to rest in {most} rounds"
        raise RuntimeError(message)

    def start(self) -> None:
        """Runs in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="engine", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Steps until stopped."""
        while not self._stopping.is_set():
            self.turned = time.monotonic()
            moved = self.step(self._guarded)
            worked = time.monotonic() - self.turned
            if not moved and not self._made_work():
                self._bell.wait(min(_SLOW_POLL_SECONDS, max(0.01, self._idle_seconds())))
            if (early := self.turned + self._between(worked) - time.monotonic()) > 0:
                self._stopping.wait(early)

    def _between(self, worked: float) -> float:
        # Where the machine is busy a round takes long, and others are as busy: it then rests for as
        # long as it worked, up to a limit, so that its next round finds more.
        pace = self._pace()
        return max(pace, min(2 * worked, worked + _MOST_REST_SECONDS)) if pace else 0.0

    def stop(self, seconds: float) -> None:
        """Ends after the current step."""
        self._stopping.set()
        self._bell.ring()
        if self._thread is not None:
            self._thread.join(seconds)
        for consumer in self.consumers:
            if isinstance(consumer, PolicyConsumer):
                consumer.rest()

    def _made_work(self) -> bool:
        try:
            return self._when_idle()
        except Exception:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            _log.exception("idle_work_failed")
            return False

    def _report(self) -> None:
        self._reported = True
        shown = {s for c in self.consumers if isinstance(c, ProjectionConsumer) for s in c.shown}
        self._progress.report({c.name: c.position for c in self.consumers}, shown)
        for consumer in self.consumers:
            if isinstance(consumer, ProjectionConsumer):
                consumer.shown = []

    def _guarded(self, consumer: Consumer) -> bool:
        # What stops one consumer must not stop the others; it is tried again after a pause.
        if time.monotonic() < self._paused.get(consumer.name, 0.0):
            return False
        try:
            return consumer.step()
        except Unavailable as error:
            _log.warning("waiting", consumer=consumer.name, code=error.code, detail=error.detail)
        except Exception:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            _log.exception("consumer_failed", consumer=consumer.name)
        self._paused[consumer.name] = time.monotonic() + _SLOW_POLL_SECONDS
        return False

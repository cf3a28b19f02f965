"""The relay: what the log says, published on RabbitMQ. ``python -m deploy.relay``.

What it does with a batch is in forwarding.py; here is what drives it. One relay is active, by lock;
another one stands by. If two are active all the same, the fenced checkpoint lets only one go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Metric

from deploy import metrics
from deploy.forwarding import NAME, Relay
from deploy.health import start_health
from deploy.processes import settings_of, until_told, when_there
from deploy.publisher import Publisher
from deploy.single import Lock, make_lock
from deploy.stores import RELAY, open_store
from shared import logging
from shared.config import Settings
from shared.errors import PbxError, Unavailable

_log = logging.logger(NAME)
_IDLE_SECONDS = 0.1  # Looking for the head of the log costs some microseconds.
# Of two steps one after the other, at least. A step costs two commits and a confirmation, however
# many events it publishes; none of ours waits for it.
_GAP_SECONDS = 0.05
_MANY = 100  # Then it is behind, and goes on at once.
_STAND_BY_SECONDS = 0.2
_AGAIN_SECONDS = 1.0


class Runner:
    """Drives a relay until it is told to stop: stands by, connects, publishes, connects again."""

    def __init__(
        self,
        relay: Relay,
        publisher: Publisher,
        lock: Lock,
        stopping: threading.Event | None = None,
    ) -> None:
        self._relay = relay
        self._publisher = publisher
        self._lock = lock
        self.stopping = stopping or threading.Event()
        self._active = False
        self._waits_for_broker = False
        self.turned: Callable[[], None] = lambda: None
        self.others: metrics.Collect = tuple

    def status(self) -> dict[str, Any]:
        """For ``/readyz``: a relay that stands by is as ready as the active one; one that waits for
        its broker is not. Raises ``Unavailable`` without log or state."""
        position, head = self._relay.written()
        return {
            "ready": not self._waits_for_broker,
            "active": self._active,
            "broker": "away" if self._waits_for_broker else "ok",
            "head": head,
            "consumers": {NAME: {"position": position, "lag": head - position, "failure": None}},
        }

    def collect(self) -> Iterable[Metric]:
        """For ``/metrics``."""
        return metrics.together(self._own, self.others)()

    def _own(self) -> Iterable[Metric]:
        position, head = self._relay.written()
        return metrics.of_relay(position, head, active=self._active, waits=self._waits_for_broker)

    def run(self) -> None:
        """Returns after ``stopping`` is set: what was under way is finished before."""
        _log.info("relay_started")
        while not self.stopping.is_set():
            self.turned()
            pause = self._turn()
            if pause:
                self.stopping.wait(pause)
        self._publisher.close()
        self._lock.release()
        _log.info("relay_stopped", position=self._relay.position)

    def _turn(self) -> float:
        try:
            if not self._active and not self._take_over():
                return _STAND_BY_SECONDS
            before = self._relay.position
            if self._relay.step():
                return 0.0 if self._relay.position - before >= _MANY else _GAP_SECONDS
            self._publisher.beat()
            return _IDLE_SECONDS
        except Unavailable as error:
            self._say_waiting(error)
            return _AGAIN_SECONDS

    def _take_over(self) -> bool:
        if not self._lock.acquire():
            self._publisher.beat()
            return False
        self._publisher.connect()
        self._relay.forget_place()
        self._active = True
        self._waits_for_broker = False
        _log.info("relay_active")
        return True

    def _say_waiting(self, error: PbxError) -> None:
        self._active = False  # It connects and reads its place anew; the lock stays ours.
        if not self._waits_for_broker:
            _log.warning("relay_waits", reason=error.detail, every_seconds=_AGAIN_SECONDS)
        self._waits_for_broker = True


def make_runner(settings: Settings, stopping: threading.Event) -> Runner:
    """A relay for the settings, ready to run until ``stopping`` is set."""
    from deploy.ground import all_specs, make_folder, open_log

    all_specs()  # Which events there are.
    make_folder(settings)  # It may be the first process to start.
    publisher = Publisher(settings.amqp or "")
    log, state = open_log(settings), open_store(settings, "state", RELAY)
    runner = Runner(Relay(log, state, publisher), publisher, make_lock(settings, NAME), stopping)
    runner.others = metrics.together(metrics.LogEvents(log).collect, metrics.Waiting(state).collect)
    return runner


def _run(stopping: threading.Event) -> None:
    settings = settings_of("the relay", "amqp")
    runner = when_there(lambda: make_runner(settings, stopping), stopping)
    if runner is not None:
        runner.turned = start_health(settings, runner.status, runner.collect, NAME).beat
        runner.run()


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    until_told(_run, NAME)


if __name__ == "__main__":
    main()

"""The relay: what the log says, published on RabbitMQ. ``python -m deploy.relay``.

It reads the log behind its checkpoint, publishes the public form of the events (public_events.py),
waits for the broker's confirms and only then moves the checkpoint. A crash in between publishes a
batch again, with the same ``message_id``s; nothing is left out. One relay is active, by lock;
another one stands by. If two are active all the same, the fenced checkpoint lets only one go on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from deploy.processes import settings_of, until_told, when_there
from deploy.public_events import PUBLISHED, Outgoing, outgoing
from deploy.publisher import Publisher
from deploy.single import Lock, make_lock
from deploy.stores import RELAY, open_store
from shared import failpoints, logging
from shared.clock import MachineClock
from shared.config import Settings
from shared.consumers import checkpoints, parking
from shared.consumers.checkpoints import CHECKPOINTS, Checkpoint, FencedError
from shared.consumers.parking import PARKING, Waiting
from shared.errors import PbxError, Unavailable
from shared.eventlog import EventLog, Recorded
from shared.refusals import refusal
from shared.stores import Store

NAME = "relay"
_log = logging.logger(NAME)
_BATCH = 500
_IDLE_SECONDS = 0.1  # Looking for the head of the log costs some microseconds.
_STAND_BY_SECONDS = 0.2
_AGAIN_SECONDS = 1.0


@dataclass
class _Sorted:
    """A batch that was read, on its way to the three places it goes to."""

    going: list[Outgoing] = field(default_factory=list)
    poison: list[tuple[Recorded, str]] = field(default_factory=list)
    behind: list[Recorded] = field(default_factory=list)


class Relay:
    """Moves forward through the log. One step publishes at most ``batch`` events."""

    def __init__(
        self, log: EventLog, state: Store, publisher: Publisher, batch: int = _BATCH
    ) -> None:
        self._log = log
        self._state = state
        self._publisher = publisher
        self._batch = batch
        self._clock = MachineClock()
        self._stored: Checkpoint | None = None
        self._place: Checkpoint | None = None
        self._blocked: set[str] = set()
        state.create(CHECKPOINTS)
        state.create(PARKING)

    @property
    def position(self) -> int:
        """Up to where the broker has everything, but for what is parked."""
        return self._place.position if self._place else 0

    def step(self) -> bool:
        """Publishes the next events; says whether there were any.

        Raises ``service_unavailable`` without a broker, ``log_went_back`` where the log is another
        than before, ``log_has_hole``, and ``code_older_than_log`` for an event of a newer version:
        a newer relay has to go on from there.
        """
        place = self._place or self._load()
        retried = self._retry() if self._blocked else False
        batch = self._log.read_all(place.position, self._batch)
        if not batch:
            return retried
        if self._log.contiguous:
            _assert_contiguous(place.position, batch)
        found = self._sort(batch)
        if found.going:
            self._publisher.publish(found.going)
        failpoints.reach("relay.confirmed")
        self._move(place, batch[-1], found)
        failpoints.reach("relay.moved")
        return True

    def forget_place(self) -> None:
        """Reads the checkpoint anew: another relay was active meanwhile."""
        self._stored = self._place = None

    def _load(self) -> Checkpoint:
        with self._state.read() as connection:
            self._stored = checkpoints.load(connection, NAME)
            self._blocked = parking.blocked_streams(connection, NAME)
        place = self._stored or checkpoints.start(1, self._log)
        checkpoints.verify(place, self._log)
        self._place = place
        return place

    def _sort(self, batch: Sequence[Recorded]) -> _Sorted:
        found = _Sorted()
        blocked = set(self._blocked)
        for event in batch:
            if event.type not in PUBLISHED:
                continue
            if event.stream in blocked:
                found.behind.append(event)
                continue
            message, error = _tried(event)
            if error:
                found.poison.append((event, error))
                blocked.add(event.stream)
            elif message is not None:
                found.going.append(message)
        return found

    def _move(self, place: Checkpoint, last: Recorded, found: _Sorted) -> None:
        after = Checkpoint(last.position, last.event_id, self._log.log_id)
        now = self._clock.now()
        try:
            with self._state.write() as connection:
                checkpoints.move(connection, NAME, self._stored, after)
                for event, error in found.poison:
                    parking.park(connection, NAME, _Parkable(event), now, error)
                for event in found.behind:
                    parking.park(connection, NAME, _Parkable(event), now, "")
        except FencedError:
            _log.warning("relay_fenced", position=place.position)
            self.forget_place()
            return
        for event, error in found.poison:
            _log.error("relay_parked", position=event.position, type=event.type, error=error)
            self._blocked.add(event.stream)
        self._stored = self._place = after

    def _retry(self) -> bool:
        with self._state.read() as connection:
            self._blocked = parking.blocked_streams(connection, NAME)
            due = parking.due(connection, NAME, self._clock.now())
        for waiting in due:
            self._retry_one(waiting)
        return bool(due)

    def _retry_one(self, waiting: Waiting) -> None:
        event = self._log.read_at(waiting.position)
        message, error = (None, "") if event is None else _tried(event)
        if message is not None:
            self._publisher.publish([message])
        with self._state.write() as connection:
            if error:
                parking.failed(connection, NAME, waiting, self._clock.now(), error)
            else:
                parking.handled(connection, NAME, waiting.position)


@dataclass(frozen=True, slots=True)
class _Parkable:
    """What the parking place wants to know of an event."""

    stored: Recorded

    @property
    def position(self) -> int:
        return self.stored.position

    @property
    def type(self) -> str:
        return self.stored.type


def _tried(event: Recorded) -> tuple[Outgoing | None, str]:
    # The message, or why there is none.
    try:
        return outgoing(event), ""
    except PbxError:
        raise
    except Exception as error:  # noqa: BLE001  # Whatever it is, it may not stop the others.
        return None, f"{type(error).__name__}: {error}"


def _assert_contiguous(after: int, batch: Sequence[Recorded]) -> None:
    if batch[-1].position != after + len(batch) or batch[0].position != after + 1:
        raise refusal(
            "log_has_hole", f"Behind {after} there is a hole before {batch[-1].position}."
        )


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

    def run(self) -> None:
        """Returns after ``stopping`` is set: what was under way is finished before."""
        _log.info("relay_started")
        while not self.stopping.is_set():
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
            if self._relay.step():
                return 0.0
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
    relay = Relay(open_log(settings), open_store(settings, "state", RELAY), publisher)
    return Runner(relay, publisher, make_lock(settings, NAME), stopping)


def _run(stopping: threading.Event) -> None:
    settings = settings_of("the relay", "amqp")
    runner = when_there(lambda: make_runner(settings, stopping), stopping)
    if runner is not None:
        runner.run()


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    until_told(_run, NAME)


if __name__ == "__main__":
    main()

"""One step of the relay: events behind its checkpoint are read, published and written down.

The checkpoint moves after the broker's confirms. A crash in between publishes a batch again, with
the same ``message_id``s. An event that has no public form is parked with the later ones of its
stream (``pbxim parked``), and all other streams go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deploy.public_events import PUBLISHED, Outgoing, outgoing
from deploy.publisher import Publisher
from shared import failpoints, logging
from shared.clock import MachineClock
from shared.consumers import checkpoints, parking
from shared.consumers.checkpoints import CHECKPOINTS, Checkpoint, FencedError
from shared.consumers.parking import PARKING, Waiting
from shared.errors import PbxError
from shared.eventlog import EventLog, Recorded
from shared.refusals import refusal
from shared.stores import Store

NAME = "relay"
_log = logging.logger(NAME)
_BATCH = 500


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
        failpoints.reach("relay.publishing")
        if found.going:
            self._publisher.publish(found.going)
        failpoints.reach("relay.confirmed")
        self._move(place, batch[-1], found)
        failpoints.reach("relay.moved")
        return True

    def written(self) -> tuple[int, int]:
        """The position that the checkpoint says, whoever moved it, and the head of the log."""
        with self._state.read() as connection:
            stored = checkpoints.load(connection, NAME)
        return (stored.position if stored else 0), self._log.head()

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

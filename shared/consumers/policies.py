"""Policies: a service listens to events and answers with its own commands.

The checkpoint moves after the commands are recorded; a crash between the two repeats commands that
are recognised by their ids. What fails is parked with its stream (``parking.py``).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, zip_longest

from shared import failpoints, logging
from shared.application import Order
from shared.consumers import checkpoints, parking
from shared.consumers.checkpoints import CHECKPOINTS, Checkpoint, FencedError
from shared.consumers.feed import Feed
from shared.errors import Broken, Unavailable
from shared.happened import Happened
from shared.messages import event_type
from shared.runtime import Runtime, reaction
from shared.spec import Policy
from shared.stores import Store

_log = logging.logger("policy")
_BATCH = 200
_WRITE_EVERY = 1000
_IDLE_SECONDS = 1.0


class NotYetError(Exception):
    """A view that a reaction needs has not caught up; the same events are answered next round."""


class PolicyConsumer:
    """Drives the policy of one service through the log."""

    def __init__(self, service: str, policy: Policy, feed: Feed, runtime: Runtime) -> None:
        self.name = f"policy:{service}"
        self._service = service
        self._policy = policy
        self._feed = feed
        self._runtime = runtime
        self._state: Store = runtime.state
        self._types = frozenset(event_type(cls).name for cls in policy.events)
        self._stored: Checkpoint | None = None
        self._since = 0  # So many events were read since. Positions may have gaps.
        self._place: Checkpoint | None = None
        self._blocked: set[str] = set()
        self._failure: str | None = None
        self._unsaved = False
        self._saved_at = 0.0

    @property
    def position(self) -> int:
        """Up to where events have been answered."""
        return self._place.position if self._place else 0

    @property
    def failure(self) -> str | None:
        """Policies park what fails and go on. Only what is wrong with the log or with this whole
        program stops them, until the next start: ``log_went_back``, ``code_older_than_log``."""
        return self._failure

    def step(self) -> bool:
        """Answers the next events, or tries a parked one again."""
        if self._failure is not None:
            return False
        try:
            return self._step()
        except FencedError:
            self._place = None
            return True
        except NotYetError:
            return False
        except Broken as error:
            self._failure = str(error)
            _log.exception("policy_stopped", consumer=self.name, position=self.position)
            return False

    def _step(self) -> bool:
        place = self._place or self._load()
        retried = self._retry() if self._blocked else False
        batch = self._feed.read(place.position, _BATCH)
        if not batch:
            self._save_when_idle(place)
            return retried
        self._answer(place, batch)
        return True

    def _answer(self, place: Checkpoint, batch: list[Happened]) -> None:
        wanted = [event for event in batch if event.type in self._types]
        free = [event for event in wanted if event.stored.stream not in self._blocked]
        failed = self._react_all(free)
        last = batch[-1]
        new = replace(place, position=last.position, event_id=last.stored.event_id)
        aside = [event for event in wanted if event not in free or event in failed]
        self._since += len(batch)
        if aside or self._since >= _WRITE_EVERY:
            self._save(new, aside, failed)
        self._unsaved = self._unsaved or (bool(wanted) and self._stored is not new)
        self._place = new

    def rest(self) -> None:
        """Stores the place, before the process ends. What it cannot store is answered again."""
        if self._unsaved and self._place is not None:
            with contextlib.suppress(FencedError, Unavailable):
                self._save(self._place, [], {})

    def _save_when_idle(self, place: Checkpoint) -> None:
        # What was answered since is answered again after a crash, and recognised by its ids: so an
        # fsync per event buys nothing.
        if self._unsaved and time.monotonic() - self._saved_at >= _IDLE_SECONDS:
            self._save(place, [], {})

    def _react_all(self, events: list[Happened]) -> dict[Happened, str]:
        try:
            for wave in _waves(events):
                self._run([list(self._orders(event)) for event in wave])
        except Exception as error:  # noqa: BLE001  # One of them is at fault: find out which.
            _raise_if_general(error)
            return self._react_each(events)
        return {}

    def _react_each(self, events: list[Happened]) -> dict[Happened, str]:
        failed: dict[Happened, str] = {}
        streams: set[str] = set()
        for event in events:
            if event.stored.stream in streams:
                failed[event] = ""  # It waits behind an earlier one of its stream.
            elif error := self._react(event):
                failed[event] = error
                streams.add(event.stored.stream)
        return failed

    def _react(self, event: Happened) -> str:
        try:
            self._run([list(self._orders(event))])
        except Exception as error:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            _raise_if_general(error)
            _log.exception("event_parked", consumer=self.name, position=event.position)
            return f"{type(error).__name__}: {error}"
        return ""

    def _orders(self, event: Happened) -> Iterator[Order]:
        for n, command in enumerate(self._policy.react(event)):
            yield reaction(event, self._service, n, command, self._runtime.clock)

    def _run(self, answers: list[list[Order]]) -> None:
        # The order the policy named them: an event's next kind only after the earlier is recorded.
        # What stands at the same place for several events is done together, in one transaction.
        stages = [[list(g) for _, g in groupby(orders, key=_kind)] for orders in answers]
        for together in zip_longest(*stages, fillvalue=[]):
            self._runtime.run_many(self._service, [order for stage in together for order in stage])

    def _save(self, new: Checkpoint, aside: list[Happened], failed: dict[Happened, str]) -> None:
        now = self._runtime.machine.now()
        with self._state.write() as connection:
            # First, so that of two runners only the one whose place it was puts anything aside.
            checkpoints.move(connection, self.name, self._stored, new)
            for event in aside:
                parking.park(connection, self.name, event, now, failed.get(event, ""))
            failpoints.reach("checkpoint.before")
        failpoints.reach("checkpoint.after")
        self._stored, self._since = new, 0
        self._unsaved, self._saved_at = False, time.monotonic()
        self._blocked |= {event.stored.stream for event in aside}

    def _retry(self) -> bool:
        now = self._runtime.machine.now()
        with self._state.read() as connection:
            waiting = parking.due(connection, self.name, now)
        for one in waiting:
            self._retry_one(one)
        return bool(waiting)

    def _retry_one(self, one: parking.Waiting) -> None:
        event = self._feed.at(one.position)
        error = self._react(event)
        now = self._runtime.machine.now()
        with self._state.write() as connection:
            if error:
                parking.failed(connection, self.name, one, now, error)
            else:
                parking.handled(connection, self.name, one.position)
            self._blocked = parking.blocked_streams(connection, self.name)

    def _load(self) -> Checkpoint:
        self._state.create(CHECKPOINTS)
        self._state.create(parking.PARKING)
        with self._state.read() as connection:
            self._stored = checkpoints.load(connection, self.name)
            self._blocked = parking.blocked_streams(connection, self.name)
        place = self._stored or checkpoints.start(1, self._feed.log)
        checkpoints.verify(place, self._feed.log)
        self._place = place
        return place


def _kind(order: Order) -> type:
    return type(order.command)


def _waves(events: list[Happened]) -> Iterator[list[Happened]]:
    # What is answered together holds one event of a stream: the next waits for the whole answer.
    wave: list[Happened] = []
    streams: set[str] = set()
    for event in events:
        if event.stored.stream in streams:
            yield wave
            wave, streams = [], set()
        wave.append(event)
        streams.add(event.stored.stream)
    yield wave


def _raise_if_general(error: Exception) -> None:
    # Parking is for a fault of one event. These are faults of the surroundings or of this program.
    code = error.code if isinstance(error, Broken) else ""
    if isinstance(error, Unavailable | NotYetError) or code == "code_older_than_log":
        raise error

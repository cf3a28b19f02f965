"""Effects: calls to the outside world. They are work, not reading.

An event ``…Requested`` becomes a row in ``state``; workers claim rows, one at a time per key, each
call with its own time-out. ``requested → confirmed | refused | unknown``: an attempt is counted and
the provider's key stored before the call, so after a crash the next worker knows that something may
have been sent and looks it up before it sends again (Twilio, July 2013).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from shared import failpoints, logging, tracing
from shared.breaker import Breaker, BreakerOpenError
from shared.consumers import checkpoints, effect_rows
from shared.consumers.checkpoints import CHECKPOINTS, Checkpoint, FencedError
from shared.consumers.effect_rows import EFFECTS, Work
from shared.consumers.feed import Feed
from shared.errors import Unavailable
from shared.happened import Happened
from shared.messages import event_type
from shared.runtime import Runtime, reaction

_log = logging.logger("effect")
_BATCH = 500
_WRITE_EVERY = 1000
_BACK_OFF = (1, 2, 5, 15, 60, 300, 600)


class NotSentError(Exception):
    """The call did not reach the provider. It is simply tried again."""


class OutcomeUnknownError(Exception):
    """The call may have been carried out. It is looked up before anything is sent again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. ``maybe_sent``: an earlier one may have reached the provider."""

    number: int
    maybe_sent: bool
    provider_key: str


@dataclass(frozen=True)
class Effect:
    """One kind of call. ``call`` answers with the commands that record the outcome. ``at_once`` is
    how many workers a process has for it."""

    name: str
    provider: str
    events: tuple[type, ...]
    key: Callable[[Any], str]
    provider_key: Callable[[Any], str]
    call: Callable[[Happened, Attempt], Sequence[Any]]
    unknown: Callable[[Happened], Sequence[Any]] = lambda _: ()
    at_once: int = 8


class EffectIntake:
    """Turns requests in the log into rows of work."""

    def __init__(
        self,
        service: str,
        effects: Sequence[Effect],
        feed: Feed,
        runtime: Runtime,
        ring: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.name = f"effects:{service}"
        self._service = service
        self._by_type = {event_type(cls).name: e for e in effects for cls in e.events}
        self._feed = feed
        self._runtime = runtime
        self._ring = ring
        self._stored: Checkpoint | None = None
        self._since = 0  # So many events were read since. Positions may have gaps.
        self._place: Checkpoint | None = None

    @property
    def position(self) -> int:
        """Up to where requests have become rows."""
        return self._place.position if self._place else 0

    @property
    def failure(self) -> str | None:
        """Taking requests in cannot fail for one event alone."""
        return None

    def step(self) -> bool:
        """Takes the next requests in."""
        try:
            return self._step()
        except FencedError:
            self._place = None
            return True

    def _step(self) -> bool:
        place = self._place or self._load()
        batch = self._feed.read(place.position, _BATCH)
        if not batch:
            return False
        wanted = [event for event in batch if event.type in self._by_type]
        last = batch[-1]
        new = replace(place, position=last.position, event_id=last.stored.event_id)
        self._since += len(batch)
        if wanted or self._since >= _WRITE_EVERY:
            self._save(wanted, new)
        self._place = new
        return True

    def _save(self, wanted: list[Happened], new: Checkpoint) -> None:
        now = self._runtime.machine.now()
        rows = [self._row(event, now) for event in wanted]
        # What the disk loses of it is taken in again; a worker's claim waits for the disk.
        with self._runtime.state.write(lazily=True) as connection:
            checkpoints.move(connection, self.name, self._stored, new)
            if rows:
                effect_rows.add(connection, rows)
            failpoints.reach("checkpoint.before")
        failpoints.reach("checkpoint.after")
        self._stored, self._since = new, 0
        if wanted:
            self._ring(len(wanted))

    def _row(self, event: Happened, now: datetime) -> Work:
        effect = self._by_type[event.type]
        return {
            "id": f"{self._service}:{event.id}",
            "service": self._service,
            "name": effect.name,
            "position": event.position,
            "key": effect.key(event.message),
            "due_at": now,
            "attempts": 0,
            "maybe_sent": False,
            "claimed_until": None,
            "provider_key": effect.provider_key(event.message),
            "error": "",
        }

    def _load(self) -> Checkpoint:
        self._runtime.state.create(CHECKPOINTS)
        self._runtime.state.create(EFFECTS)
        with self._runtime.state.read() as connection:
            self._stored = checkpoints.load(connection, self.name)
        self._place = self._stored or checkpoints.start(1, self._feed.log)
        checkpoints.verify(self._place, self._feed.log)
        return self._place


class EffectWorker:
    """Carries out rows of work, one at a time. Several run beside each other."""

    def __init__(
        self,
        service: str,
        effects: Sequence[Effect],
        feed: Feed,
        runtime: Runtime,
        breakers: dict[str, Breaker],
    ) -> None:
        self._service = service
        self._effects = {e.name: e for e in effects}
        self._feed = feed
        self._runtime = runtime
        self._breakers = breakers
        self._unrecorded: tuple[Work, str] | None = None
        self._next: Work | None = None  # It was claimed together with the end of another.
        runtime.state.create(EFFECTS)

    def step(self) -> bool:
        """Claims one row that is due, calls, records the outcome. Raises ``Unavailable`` when it
        cannot be recorded; the next step then gives the row back, to be looked up."""
        self._give_back()
        row, self._next = self._next or self._claim(), None
        if row is None:
            return False
        event = self._feed.at(row["position"])
        try:
            self._carry_out(row, event)
        except Unavailable as error:
            self._unrecorded = (row, str(error))
            raise
        return True

    def _give_back(self) -> None:
        if self._unrecorded is not None:
            self._later(*self._unrecorded, maybe_sent=True)
            self._unrecorded = None

    def _carry_out(self, row: Work, event: Happened) -> None:
        effect = self._effects[row["name"]]
        breaker = self._breakers[effect.provider]
        attempt = Attempt(row["attempts"], row["maybe_sent"], row["provider_key"])
        try:
            failpoints.reach("effect.before")
            with tracing.span(
                f"{effect.provider}: {effect.name}", event.meta.traceparent, "client"
            ):
                commands = breaker.guard(lambda: effect.call(event, attempt))
            failpoints.reach("effect.after")
        except (NotSentError, BreakerOpenError) as error:
            self._later(row, str(error), maybe_sent=row["maybe_sent"])
        except OutcomeUnknownError as error:
            self._record(event, effect.unknown(event), "unknown")
            self._later(row, str(error), maybe_sent=True)
        except Exception as error:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            _log.exception("effect_failed", effect=effect.name, position=event.position)
            self._later(row, f"{type(error).__name__}: {error}", maybe_sent=True)
        else:
            self._record(event, commands, "outcome")
            self._finish(row)

    def _record(self, event: Happened, commands: Sequence[Any], kind: str) -> None:
        orders = [
            reaction(event, f"{self._service}:{kind}:{type(c).__name__}", n, c, self._runtime.clock)
            for n, c in enumerate(commands)
        ]
        self._runtime.run_many(self._service, orders)

    def rest(self) -> None:
        """Gives back what it has claimed and not begun, before it ends. What it cannot give back
        is free when the claim has ended."""
        row, self._next = self._next, None
        if row is not None:
            with contextlib.suppress(Unavailable), self._runtime.state.write() as connection:
                effect_rows.give_back(connection, row, attempts=row["attempts"] - 1)

    def _claim(self) -> Work | None:
        now = self._runtime.machine.now()
        if not effect_rows.is_due(self._runtime.state, self._service, now):
            return None
        with self._runtime.state.write() as connection:
            return effect_rows.claim(connection, self._service, now)

    def _later(self, row: Work, error: str, *, maybe_sent: bool) -> None:
        pause = _BACK_OFF[min(row["attempts"], len(_BACK_OFF)) - 1]
        due = self._runtime.machine.now() + timedelta(seconds=pause)
        values = {"due_at": due, "maybe_sent": maybe_sent, "error": error[:500]}
        with self._runtime.state.write() as connection:
            effect_rows.give_back(connection, row, **values)

    def _finish(self, row: Work) -> None:
        # The next work is claimed with it, where there is some: one wait for the disk for both.
        with self._runtime.state.write() as connection:
            effect_rows.finish(connection, row)
            claimed = effect_rows.claim(connection, self._service, self._runtime.machine.now())
        self._next = claimed

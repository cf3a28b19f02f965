"""Effects: calls to the outside world. They are work, not reading.

An event ``…Requested`` becomes a row in ``state``; workers claim rows, one at a time per key, each
call with its own time-out. ``requested → confirmed | refused | unknown``: an attempt is counted and
the provider's key stored before the call, so after a crash the next worker knows that something may
have been sent and looks it up before it sends again (Twilio, July 2013).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from shared import failpoints, logging, tracing
from shared.breaker import Breaker, BreakerOpenError
from shared.consumers import checkpoints
from shared.consumers.checkpoints import CHECKPOINTS, Checkpoint, FencedError
from shared.consumers.feed import Feed
from shared.consumers.waiting import FARTHEST, is_over
from shared.errors import Unavailable
from shared.happened import Happened
from shared.messages import event_type
from shared.runtime import Runtime, reaction
from shared.stores import Store

_log = logging.logger("effect")
_BATCH = 500
_WRITE_EVERY = 1000
_CLAIM_SECONDS = 120
_BACK_OFF = (1, 2, 5, 15, 60, 300, 600)

EFFECTS = MetaData()
_effect = Table(
    "effect",
    EFFECTS,
    Column("id", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("name", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("key", String, nullable=False, index=True),
    Column("due_at", DateTime(timezone=True), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("maybe_sent", Boolean, nullable=False),
    Column("claimed_until", DateTime(timezone=True)),
    Column("provider_key", String, nullable=False),
    Column("error", String, nullable=False),
)


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
        with self._runtime.state.write() as connection:
            checkpoints.move(connection, self.name, self._stored, new)
            if rows:
                connection.execute(insert(_effect), rows)
            failpoints.reach("checkpoint.before")
        failpoints.reach("checkpoint.after")
        self._stored, self._since = new, 0
        if wanted:
            self._ring(len(wanted))

    def _row(self, event: Happened, now: datetime) -> dict[str, Any]:
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
        self._unrecorded: tuple[dict[str, Any], str] | None = None
        runtime.state.create(EFFECTS)

    def step(self) -> bool:
        """Claims one row that is due, calls, records the outcome. Raises ``Unavailable`` when it
        cannot be recorded; the next step then gives the row back, to be looked up."""
        self._give_back()
        row = self._claim()
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

    def _carry_out(self, row: dict[str, Any], event: Happened) -> None:
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

    def _claim(self) -> dict[str, Any] | None:
        now = self._runtime.machine.now()
        asked = {"of_service": self._service, "now": now, "far": now + FARTHEST}
        with self._runtime.state.read() as connection:
            if connection.execute(_due, asked).first() is None:
                return None
        with self._runtime.state.write() as connection:
            found = connection.execute(_due, asked).mappings().first()
            if found is None:
                return None
            return self._mark(connection, dict(found), now)

    def _mark(self, connection: Connection, row: dict[str, Any], now: datetime) -> dict[str, Any]:
        # A row that was claimed and not given back belonged to a process that died in the call.
        row["maybe_sent"] = row["maybe_sent"] or row["claimed_until"] is not None
        row["attempts"] += 1
        claim = {
            "claimed_until": now + timedelta(seconds=_CLAIM_SECONDS),
            "attempts": row["attempts"],
            "maybe_sent": row["maybe_sent"],
        }
        connection.execute(_claiming, claim | {"row_id": row["id"]})
        return row

    def _later(self, row: dict[str, Any], error: str, *, maybe_sent: bool) -> None:
        pause = _BACK_OFF[min(row["attempts"], len(_BACK_OFF)) - 1]
        values = {
            "claimed_until": None,
            "due_at": self._runtime.machine.now() + timedelta(seconds=pause),
            "maybe_sent": maybe_sent,
            "error": error[:500],
        }
        with self._runtime.state.write() as connection:
            connection.execute(update(_effect).where(_effect.c.id == row["id"]).values(values))

    def _finish(self, row: dict[str, Any]) -> None:
        with self._runtime.state.write() as connection:
            connection.execute(_finishing, {"row_id": row["id"]})


def _due_statement() -> Select[Any]:
    now, far = (bindparam(name, type_=DateTime(timezone=True)) for name in ("now", "far"))
    of_service = _effect.c.service == bindparam("of_service")
    ended = is_over(_effect.c.claimed_until, now, far)
    busy = select(_effect.c.key).where(of_service, ~ended)
    free = or_(_effect.c.claimed_until.is_(None), ended)
    return (
        select(_effect)
        .where(of_service, is_over(_effect.c.due_at, now, far), free)
        .where(_effect.c.key.not_in(busy))
        .order_by(_effect.c.position)
        .limit(1)
    )


_due = _due_statement()
_this_row = _effect.c.id == bindparam("row_id")
_claiming = (
    update(_effect)
    .where(_this_row)
    .values({c: bindparam(c) for c in ("claimed_until", "attempts", "maybe_sent")})
)
_finishing = delete(_effect).where(_this_row)


def release_claims(runtime: Runtime, service: str) -> None:
    """After a start: what this service's dead process had claimed may be taken up at once.

    Only where one process runs a service's effects (embedded); others wait for the claim to end.
    """
    past = runtime.machine.now() - timedelta(seconds=1)
    runtime.state.create(EFFECTS)
    with runtime.state.write() as connection:
        where = (_effect.c.service == service) & _effect.c.claimed_until.is_not(None)
        connection.execute(update(_effect).where(where).values(claimed_until=past))


def counted(connection: Connection) -> list[tuple[str, str, int]]:
    """How many calls are not done yet, by service and state: ``waiting``, ``calling``, or
    ``unknown`` where an earlier try may have arrived."""
    state = case(
        (_effect.c.claimed_until.is_not(None), "calling"),
        (_effect.c.maybe_sent, "unknown"),
        else_="waiting",
    )
    query = select(_effect.c.service, state, func.count()).group_by(_effect.c.service, state)
    found = connection.execute(query)
    return sorted((service, called, number) for service, called, number in found)


def work_is_waiting(state: Store, now: datetime) -> bool:
    """Whether a call is under way or could begin now (machine time). What failed and waits for its
    next try does not count."""
    free = _effect.c.claimed_until.is_not(None) | (_effect.c.due_at <= now)
    with state.read() as connection:
        return connection.execute(select(_effect.c.id).where(free).limit(1)).first() is not None


class WorkerPool:
    """Threads that carry out effects. They sleep until rung, or a second at the most."""

    def __init__(self, make_worker: Callable[[], EffectWorker], size: int = 8) -> None:
        self._bell = threading.Condition()
        self._rung = 0
        self._stopping = False
        self._threads = [
            threading.Thread(
                target=self._run, args=(make_worker(),), name=f"effect-{n}", daemon=True
            )
            for n in range(size)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def ring(self, rows: int) -> None:
        """There is work for so many threads; the others sleep on."""
        with self._bell:
            self._rung += 1
            self._bell.notify(rows)

    def stop(self, seconds: float) -> None:
        """Lets running calls end for a while; what is still running is taken up after restart."""
        with self._bell:
            self._stopping = True
            self._bell.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self, worker: EffectWorker) -> None:
        while not self._stopping:
            seen = self._rung
            if self._worked(worker):
                continue
            with self._bell:
                if seen == self._rung and not self._stopping:
                    self._bell.wait(1.0)

    def _worked(self, worker: EffectWorker) -> bool:
        try:
            return worker.step()
        except Exception:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            _log.exception("effect_worker_failed")
            time.sleep(1.0)  # The store is full or locked: come back when it may have passed.
            return True

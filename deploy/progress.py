"""How far the read models are, told from process to process (NOTIFY in the stores' database).

A runner says so after each step and once a second. Those who are interested hear it: the gateway
all runners, a service its own. A word that is lost costs a second. The stored checkpoints do not
serve: they lag where nothing had to be written.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec
import psycopg2

from shared import logging
from shared.clock import BusinessClock
from shared.errors import Unavailable
from shared.eventlog.postgres_bell import Listener
from shared.eventlog.postgres_pool import Connection, connect
from shared.runtime import Progress

_log = logging.logger("progress")
# What a runner of several services says; one of a single service has a channel of its own.
CHANNEL = "pbxim_progress"
_AGAIN_SECONDS = 1.0
_GAP_SECONDS = 0.01
# Every word wakes every process that listens. Where many events come, one that shows nothing new to
# whoever waits for an order is said so long after the one before it.
_PATIENT_SECONDS = 0.1
# A word is a commit, and all commits that notify queue up. None of them has anything to keep.
_PREPARE = "SET synchronous_commit = off"
_MOST_STREAMS = 60  # PostgreSQL takes 8,000 bytes.
_OLD_SECONDS = 10.0


def channel_of(service: str) -> str:
    """Where the runner of that service alone says how far it is."""
    return f"{CHANNEL}_{service}"


class Word(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a runner says. ``streams`` were just shown, ``more`` others too; ``failed`` consumers
    stand still, and why; ``offset`` is that of the business clock, in seconds."""

    service: str
    positions: dict[str, int]
    streams: list[str] = []
    more: bool = False
    failed: dict[str, str] = {}
    offset: float = 0.0


class AnnouncingProgress(Progress):
    """A runner's ``Progress``: whoever listens hears of it, too. Sending is another thread's."""

    def __init__(self, address: str, service: str) -> None:
        super().__init__()
        self._address = address
        self._service = service
        self._channel = CHANNEL if "," in service else channel_of(service)
        self._shown: set[str] = set()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._said = 0.0
        self.many_events: Callable[[], bool] = bool
        self.offset: Callable[[], timedelta] = timedelta
        self.failures: Callable[[], dict[str, str]] = dict
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begins to say it."""
        self._thread.start()

    def report(self, positions: Mapping[str, int], streams: Iterable[str] = ()) -> None:
        """See ``Progress.report``."""
        shown = set(streams)
        super().report(positions, shown)
        with self._lock:
            self._shown |= shown
        if shown:
            self._hurry.set()
        self._wake.set()

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._hurry.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_AGAIN_SECONDS)

    def _run(self) -> None:
        while not self._ended.is_set():
            if self._wake.wait(_AGAIN_SECONDS):
                self._hurry.wait(self._patience())
            self._said = time.monotonic()
            self._wake.clear()
            self._hurry.clear()
            with contextlib.suppress(Unavailable, psycopg2.Error):
                self._say(self._word())
            self._ended.wait(_GAP_SECONDS)  # One word for several steps.
        self._hang_up()

    def _patience(self) -> float:
        if not self.many_events():
            return 0.0
        return max(0.0, self._said + _PATIENT_SECONDS - time.monotonic())

    def _word(self) -> Word:
        with self._lock:
            shown, self._shown = sorted(self._shown), set()
        return Word(
            service=self._service,
            positions=self.positions(),
            streams=shown[:_MOST_STREAMS],
            more=len(shown) > _MOST_STREAMS,
            failed=self.failures(),
            offset=self.offset().total_seconds(),
        )

    def _say(self, word: Word) -> None:
        try:
            if self._connection is None:
                self._connection = connect(self._address, _PREPARE)
            with self._connection.cursor() as cursor:
                payload = msgspec.json.encode(word).decode()
                cursor.execute("SELECT pg_notify(%s, %s)", (self._channel, payload))
        except BaseException:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class HeardProgress(Progress):
    """What the runners said last.

    Who waits for a stream does not look before its runner has spoken, as a look is a call to
    another process; but once a second, as any word may be lost."""

    first_look_seconds = 1.0
    looks_every_seconds = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._clock: BusinessClock | None = None
        self._failed: dict[str, dict[str, str]] = {}
        self._last: dict[str, float] = {}
        self._listener: Listener | None = None

    def listen(self, address: str, clock: BusinessClock, services: Iterable[str] = ()) -> None:
        """Begins to hear of these services, and of those that ``follow`` names; ``clock`` learns
        the business time that their runners know of."""
        self._clock = clock
        channels = (CHANNEL, *map(channel_of, services))
        self._listener = Listener(address, self.heard, *channels)

    def follow(self, service: str) -> None:
        """Hears of this service, too."""
        if self._listener is not None:
            self._listener.add(channel_of(service))

    def heard(self, words: Sequence[str]) -> None:
        """Takes words over. One of a newer version that cannot be read is passed over."""
        for text in words:
            try:
                word = msgspec.json.decode(text, type=Word)
            except msgspec.DecodeError:
                _log.warning("word_unreadable")
                continue
            self._take(word)

    def failures(self) -> dict[str, str]:
        """Consumers that stand still, and why."""
        return {name: why for found in self._failed.values() for name, why in found.items()}

    def silent(self, services: Iterable[str]) -> list[str]:
        """Those whose runner has not been heard for ten seconds."""
        now = time.monotonic()
        return [s for s in services if now - self._last.get(s, -_OLD_SECONDS) >= _OLD_SECONDS]

    def close(self) -> None:
        """Ends listening."""
        if self._listener is not None:
            self._listener.close()

    def _take(self, word: Word) -> None:
        if self._clock is not None:
            self._clock.learn(timedelta(seconds=word.offset))
        self._failed[word.service] = word.failed
        self._last |= dict.fromkeys(word.service.split(","), time.monotonic())
        self.report(word.positions, word.streams)
        if word.more:
            self.wake_all()

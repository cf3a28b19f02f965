"""The door-bell of a log that other processes write to, too: LISTEN, and a slow poll behind it."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
from collections.abc import Callable, Sequence

import psycopg2

from shared.errors import Unavailable
from shared.eventlog.postgres_pool import Connection, connect

CHANNEL = "pbxim_log"
_END_SECONDS = 5.0
_POLL_SECONDS = 1.0  # A bell that never rings, or a server that is away, costs so much.
_GAP_SECONDS = 0.01  # The first word is heard at once, those that follow it together.


class Listener:
    """Hears what other processes say on channels, and calls ``heard`` with it at least once per
    ``_POLL_SECONDS``, with nothing then: who missed a word, because the server was away, looks for
    himself. Words may come more than once."""

    def __init__(
        self, address: str, heard: Callable[[Sequence[str]], None], *channels: str
    ) -> None:
        self._address = address
        self._heard = heard
        self._channels = list(channels or (CHANNEL,))
        self._ended = threading.Event()
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, name="log-bell", daemon=True)
        self._thread.start()

    def add(self, channel: str) -> None:
        """Hears this channel, too, from some milliseconds on."""
        if channel not in self._channels:
            self._channels.append(channel)
            os.write(self._waker, b".")

    def close(self) -> None:
        """Ends the thread and its connection."""
        if self._ended.is_set():
            return
        self._ended.set()
        os.write(self._waker, b".")
        self._thread.join(_END_SECONDS)
        if self._thread.is_alive():
            return  # A server that hangs holds it; it ends with the process, and needs its pipe.
        os.close(self._wake)
        os.close(self._waker)

    def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(Unavailable, psycopg2.Error, OSError):
                self._listen()
            self._ended.wait(_POLL_SECONDS)

    def _listen(self) -> None:
        with (
            contextlib.closing(connect(self._address)) as connection,
            selectors.DefaultSelector() as either,  # select() knows no file above 1023.
        ):
            either.register(connection.fileno(), selectors.EVENT_READ)
            either.register(self._wake, selectors.EVENT_READ)
            words: list[str] = []
            listened: list[str] = []
            while not self._ended.is_set():
                for channel in self._channels[len(listened) :]:
                    with connection.cursor() as cursor:
                        cursor.execute(f"LISTEN {channel}")
                    listened.append(channel)
                self._heard(words)  # Also at the beginning: something may have come before.
                self._ended.wait(_GAP_SECONDS)
                if any(key.fd == self._wake for key, _ in either.select(_POLL_SECONDS)):
                    os.read(self._wake, 100)
                words = self._said(connection)

    def _said(self, connection: Connection) -> list[str]:
        connection.poll()
        said = [word.payload for word in connection.notifies]
        connection.notifies.clear()
        return said

"""The door-bell of a log that other processes write to, too: LISTEN, and a slow poll behind it."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable

import psycopg2

from shared.errors import Unavailable
from shared.eventlog.postgres_pool import Connection, connect

CHANNEL = "pbxim_log"
_POLL_SECONDS = 1.0  # A bell that never rings, or a server that is away, costs so much.


class Listener:
    """Rings whenever another process has appended, and once per ``_POLL_SECONDS`` at the least: a
    lost bell costs time and never an event. Rings may be more than there are events."""

    def __init__(self, address: str, ring: Callable[[], None]) -> None:
        self._address = address
        self._ring = ring
        self._ended = threading.Event()
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, name="log-bell", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and its connection."""
        if self._ended.is_set():
            return
        self._ended.set()
        os.write(self._waker, b".")
        self._thread.join()
        os.close(self._wake)
        os.close(self._waker)

    def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(Unavailable, psycopg2.Error, OSError):
                self._listen()
            self._ended.wait(_POLL_SECONDS)

    def _listen(self) -> None:
        with contextlib.closing(connect(self._address)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            while not self._ended.is_set():
                self._ring()  # Also at the beginning: something may have come before we listened.
                self._wait(connection)

    def _wait(self, connection: Connection) -> None:
        select.select([connection.fileno(), self._wake], [], [], _POLL_SECONDS)
        connection.poll()
        connection.notifies.clear()

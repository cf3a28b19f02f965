"""Somebody who listens to all that is published: durable queues, drained by a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import uuid
from collections import defaultdict
from typing import Any

from kombu import Connection, Exchange, Queue

_AGAIN_SECONDS = 0.3
_SERVICES = ("orders", "billing", "inventory")


class Listeners:
    """Hears everything at least once, from its start on."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self.before: dict[str, set[str]] = {}  # What was published earlier need not come.
        self._heard: dict[str, set[str]] = defaultdict(set)
        self.messages = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        mark = uuid.uuid4().hex[:8]
        self._queues = [
            Queue(
                f"faults-{service}-{mark}",
                Exchange(f"{service}.events", type="topic", durable=True),
                routing_key="#",
                durable=True,
            )
            for service in _SERVICES
        ]
        with Connection(uri) as connection:
            for queue in self._queues:
                queue(connection.default_channel).declare()
        self._thread = threading.Thread(target=self._run, name="listeners", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends listening."""
        self._ended.set()
        self._thread.join(10)

    def heard(self, service: str) -> set[str]:
        """Ids of the messages that came."""
        with self._lock:
            return set(self._heard[service])

    def wanted(self, published: dict[str, set[str]]) -> dict[str, set[str]]:
        """Of all events published those that have to come."""
        return {s: published[s] - self.before.get(s, set()) for s in _SERVICES}

    def missing(self, service: str, wanted: set[str], end: float) -> set[str]:
        """What has not come by then (monotonic), after waiting for it."""
        while (left := wanted - self.heard(service)) and time.monotonic() < end:
            time.sleep(0.05)  # It comes in the other thread.
        return left

    def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(Exception):  # The broker is killed on purpose.
                self._listen()
            self._ended.wait(_AGAIN_SECONDS)

    def _listen(self) -> None:
        with Connection(self._uri, connect_timeout=3, heartbeat=0) as connection:
            for queue in self._queues:  # It may have been deleted.
                queue(connection.default_channel).declare()
            with connection.Consumer(self._queues, on_message=self._take, prefetch_count=200):
                while not self._ended.is_set():
                    with contextlib.suppress(socket.timeout):
                        connection.drain_events(timeout=1)

    def _take(self, message: Any) -> None:
        service = message.delivery_info["exchange"].removesuffix(".events")
        with self._lock:
            self._heard[service].add(message.properties.get("message_id", ""))
            self.messages += 1
        message.ack()

"""The door-bell of a log in KurrentDB: a catch-up subscription, renewed twice a minute."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import PbxError
from shared.eventlog.kurrentdb_client import Link
from shared.eventlog.kurrentdb_threads import exceptions, native

_RENEW_SECONDS = 30.0  # No wait without an end. A link that has died unnoticed costs so much.
_AGAIN_SECONDS = 1.0
_GONE_SECONDS = 5.0


class Listener:
    """Rings whenever an event was appended, by whomever, and whenever it begins to listen: an event
    may have come before. A lost bell costs time and never an event."""

    def __init__(self, link: Link, ours: Mapping[str, Any], ring: Callable[[], None]) -> None:
        self._link = link
        self._what = {**ours, "from_end": True, "timeout": _RENEW_SECONDS}
        self._ring = ring
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._subscription: Any = None
        self._thread = threading.Thread(target=self._run, name="log-bell", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the subscription and the thread."""
        with self._lock:
            self._ended.set()
            subscription = self._subscription
        if subscription is not None:
            native(subscription.stop, cancel=True)
        self._thread.join(_GONE_SECONDS)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._listen()
            except exceptions.GrpcDeadlineExceededError:
                continue  # Time to renew it.
            except (PbxError, exceptions.KurrentDBClientError):
                self._ended.wait(_AGAIN_SECONDS)

    def _listen(self) -> None:
        subscription = self._link.call(lambda client: client.subscribe_to_all(**self._what))
        with self._lock:
            self._subscription = subscription
        try:
            while not self._ended.is_set():
                self._ring()  # Also at the beginning: something may have come before we listened.
                if native(next, subscription, None) is None:
                    return
        finally:
            native(subscription.stop)

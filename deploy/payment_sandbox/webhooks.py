"""Sending events: from the book, signed, again and again until the receiver says 2xx."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import logging
import sqlite3
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.payment_sandbox.store import Store

logger = logging.getLogger("payment_sandbox")
BATCH = 32
TIMEOUT_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 300.0
MOST_ATTEMPTS = 20  # about 45 minutes in all
IDLE_SECONDS = 5.0
# Events that follow each other closely are read and marked together.
GATHER_SECONDS = 0.01


@dataclass(frozen=True)
class Due:
    """One delivery that is to be sent now."""

    serial: int
    attempts: int
    wrong_signature: bool
    payload: bytes


def signature(payload: bytes, secret: str, moment: int) -> str:
    """The `Stripe-Signature` header: t=seconds,v1=HMAC-SHA256 of "t.payload"."""
    signed = b"%d.%s" % (moment, payload)
    return f"t={moment},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


class Deliverer:
    """A thread that sends what the book holds as due; a restart goes on where it stopped."""

    def __init__(self, store: Store, url: str, secret: str) -> None:
        self._store = store
        self._secret = secret
        self._line = _Line(url)
        self._bell = threading.Event()

    def start(self) -> None:
        """Begin sending; the thread ends with the process."""
        threading.Thread(target=self._run, name="webhooks", daemon=True).start()

    def wake(self) -> None:
        """Say that something may be due."""
        self._bell.set()

    def _run(self) -> None:
        while True:
            self._bell.clear()
            try:
                if not self.step():
                    self._bell.wait(self._seconds_to_next())
                    time.sleep(GATHER_SECONDS)
            except sqlite3.Error:
                # A full disk, say: what is due stays in the book, and is tried again.
                logger.exception("deliveries_unreadable")
                self._bell.wait(IDLE_SECONDS)

    def step(self) -> bool:
        """Send what is due now, at most BATCH; says whether there was anything."""
        due = _due(self._store.reading().connection)
        outcomes = [(delivery, self._send(delivery)) for delivery in due]
        if outcomes:
            # A mark that is lost means one delivery more, which a receiver must bear anyway.
            with self._store.exclusive(durable=False) as connection:
                for delivery, accepted in outcomes:
                    _mark(connection, delivery, accepted=accepted)
        return bool(outcomes)

    def _send(self, delivery: Due) -> bool:
        secret = "whsec_of_somebody_else" if delivery.wrong_signature else self._secret
        header = signature(delivery.payload, secret, int(time.time()))
        return self._line.post(delivery.payload, header)

    def _seconds_to_next(self) -> float:
        row = (
            self._store.reading()
            .connection.execute(
                "SELECT due FROM deliveries WHERE state = 'pending' ORDER BY due LIMIT 1"
            )
            .fetchone()
        )
        return (
            IDLE_SECONDS if row is None else min(IDLE_SECONDS, max(0.0, row["due"] - time.time()))
        )


def _due(connection: sqlite3.Connection) -> list[Due]:
    rows = connection.execute(
        "SELECT d.serial, d.attempts, d.wrong_signature, r.body"
        " FROM deliveries d JOIN resources r ON r.id = d.event"
        " WHERE d.state = 'pending' AND d.due <= ? ORDER BY d.due, d.rank LIMIT ?",
        (time.time(), BATCH),
    ).fetchall()
    return [Due(row[0], row[1], bool(row[2]), row[3].encode()) for row in rows]


def _mark(connection: sqlite3.Connection, delivery: Due, *, accepted: bool) -> None:
    attempts = delivery.attempts + 1
    state = "accepted" if accepted else "pending" if attempts < MOST_ATTEMPTS else "given_up"
    pause = min(FIRST_RETRY_SECONDS * 2**delivery.attempts, LONGEST_RETRY_SECONDS)
    connection.execute(
        "UPDATE deliveries SET attempts = ?, state = ?, due = ? WHERE serial = ?",
        (attempts, state, time.time() + pause, delivery.serial),
    )


class _Line:
    """One kept-alive connection to the receiver."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._secure = parts.netloc, parts.scheme == "https"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection: http.client.HTTPConnection | None = None

    def post(self, payload: bytes, header: str) -> bool:
        """Whether the receiver answered 2xx within the time-out."""
        reused = self._connection is not None
        try:
            return self._try(payload, header)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            # A kept connection may have been closed by the receiver in the meantime.
            stale = reused and isinstance(error, ConnectionError)
        return stale and self.post(payload, header)

    def _try(self, payload: bytes, header: str) -> bool:
        connection = self._connection or self._open()
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
        connection.request("POST", self._target, payload, headers)
        answer = connection.getresponse()
        answer.read()
        return 200 <= answer.status < 300  # noqa: PLR2004  # Named by its context.

    def _open(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        self._connection = kind(self._host, timeout=TIMEOUT_SECONDS)
        return self._connection

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

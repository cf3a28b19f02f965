"""The one writer of the book, and the rule that a key and what it booked are one transaction."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.payment_sandbox import book
from deploy.payment_sandbox.errors import ApiError, IdempotencyMisuse, Json
from deploy.payment_sandbox.records import Origin, Reader, Transaction, dumps, first_id, new_id, now

# Keys, events and deliveries older than this are dropped at start; the ledgers are kept.
LIFE_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Key:
    """An Idempotency-Key: whose it is, and what was asked with it."""

    scope: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, secret_key: str, key: str, method: str, path: str, body: str) -> Key:
        """Scope and fingerprint are digests: the book holds no API key."""
        request = f"{method} {path}\n{body}"
        return cls(_digest(secret_key), key, _digest(request))


@dataclass(frozen=True)
class Answer:
    """A status with its JSON body as text, and the request that first gave it, if replayed."""

    status: int
    body: str
    request_id: str
    replayed: bool = False


class Store:
    """Opens the book in `folder`; raises OSError or sqlite3.Error when it can't."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / book.BOOK_NAME
        book.create(self._path)
        self._writer = book.connect(self._path)
        self._relaxed = book.connect(self._path)
        self._relaxed.execute("PRAGMA synchronous = NORMAL")
        self._lock = threading.Lock()
        self._readers = threading.local()
        self._running: set[tuple[str, str]] = set()
        self._running_lock = threading.Lock()
        self._forget_old()

    def reading(self) -> Reader:
        """The book as last committed; one connection for each thread."""
        if not hasattr(self._readers, "connection"):
            self._readers.connection = book.connect(self._path)
        return Reader(self._readers.connection)

    @contextmanager
    def writing(self, origin: Origin) -> Iterator[Transaction]:
        """Commit at the end, or roll back on an exception."""
        with self.exclusive() as connection:
            yield Transaction(connection, origin)

    @contextmanager
    def exclusive(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A writing connection inside a transaction, alone.

        What is not durable survives a kill of the process, but not always a loss of power.
        """
        connection = self._writer if durable else self._relaxed
        with self._lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def claimed(self, key: Key | None) -> Iterator[None]:
        """Hold a key while its request runs; the second at the same time gets 409, as at Stripe."""
        if key is None:
            yield
            return
        mine = (key.scope, key.key)
        with self._running_lock:
            if mine in self._running:
                raise _in_use()
            self._running.add(mine)
        try:
            yield
        finally:
            with self._running_lock:
                self._running.discard(mine)

    def run(self, key: Key | None, origin: Origin, act: Callable[[Transaction], Json]) -> Answer:
        """Replay what the key booked, or act and book both in one transaction.

        An ApiError that is not kept (see errors.py) leaves no trace.
        """
        with self.writing(origin) as transaction:
            if key and (earlier := _replay(self._writer, key)):
                return earlier
            answer = _outcome(transaction, act)
            if key:
                _keep(self._writer, key, answer)
            return answer

    def settle(self, seconds: float) -> None:
        """Wait for a running write to commit, at most `seconds`; the process ends after this."""
        self._lock.acquire(timeout=seconds)

    def _forget_old(self) -> None:
        limit = now() - LIFE_SECONDS
        with self.exclusive() as connection:
            for table in ("idempotency", "deliveries"):
                # Rows are in the order of their time: only the old ones are looked at.
                connection.execute(
                    f"DELETE FROM {table} WHERE serial < (SELECT serial FROM {table}"  # nosec B608
                    " WHERE created >= ? ORDER BY serial LIMIT 1)",
                    (limit,),
                )
            bounds = ("evt_", first_id("evt", limit))
            connection.execute("DELETE FROM resources WHERE id > ? AND id < ?", bounds)


def _outcome(transaction: Transaction, act: Callable[[Transaction], Json]) -> Answer:
    request_id = new_id("req")
    try:
        return Answer(200, dumps(act(transaction)), request_id)
    except ApiError as error:
        if not error.kept:
            raise
        return Answer(error.status, dumps(error.body), request_id)


def _replay(connection: sqlite3.Connection, key: Key) -> Answer | None:
    row = connection.execute(
        "SELECT * FROM idempotency WHERE scope = ? AND key = ?", (key.scope, key.key)
    ).fetchone()
    if row is None:
        return None
    if row["fingerprint"] != key.fingerprint:
        raise _other_parameters(key.key)
    return Answer(row["status"], row["body"], row["request"], replayed=True)


def _keep(connection: sqlite3.Connection, key: Key, answer: Answer) -> None:
    connection.execute(
        "INSERT INTO idempotency (scope, key, created, fingerprint, request, status, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.scope, key.key, now(), key.fingerprint, answer.request_id, answer.status, answer.body),
    )


def _in_use() -> ApiError:
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably"
        " means you submitted twice, and the other request is still going through)."
    )
    return IdempotencyMisuse(409, message, "idempotency_key_in_use")


def _other_parameters(key: str) -> ApiError:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first"
        f" used with. Try using a key other than '{key}' if you meant to execute a different"
        " request."
    )
    return IdempotencyMisuse(400, message)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

"""Idempotency-Key: one row per account, route and key (contract section 1, architecture section 6).

The row is written before the command runs and says until when it is expected to run, some seconds;
renewing.py says so again while it does. Past that its process is dead, and the next request with
the key runs the same command id again, so that it is the same command. Not
kept are answers after which nothing was done and a better request may follow. The path is part of
what is compared: one key for two orders' refunds is a key used twice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Response
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from services.gateway.state import idempotency as table
from shared import failpoints
from shared.errors import Unavailable
from shared.refusals import refusal
from shared.sealing import Wrapper
from shared.stores import Store

RUNNING_SECONDS = 8
_FARTHEST_SECONDS = 60  # Clocks of two machines may differ a little.
KEPT_SECONDS = 96 * 3600
_LONGEST_KEY = 255
_NOT_KEPT = frozenset({400, 401, 403, 429})
_NOT_KEPT_CODES = frozenset({"payment_method_required"})
_SERVER_ERROR = 500
_KEPT_HEADERS = ("Content-Type", "Log-Position", "ETag", "Location")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that carries a key. ``route`` is method and path template."""

    account_id: str
    route: str
    key: str
    fingerprint: bytes

    @property
    def name(self) -> str:
        """What the stored answer is bound to."""
        return f"{self.account_id}\x1f{self.route}\x1f{self.key}"


@dataclass(frozen=True, slots=True)
class Running:
    """The right to answer a request. ``attempt`` over 1: an earlier one may have been done."""

    asked: Asked
    attempt: int


def valid_key(text: str | None) -> str | None:
    """The key of the header. Raises ``malformed_request`` for one that is no plain short text."""
    if text is None or not text.strip():
        return None
    key = text.strip()
    if len(key) > _LONGEST_KEY or not key.isascii() or not key.isprintable():
        detail = f"Idempotency-Key is at most {_LONGEST_KEY} printable ASCII characters."
        raise refusal("malformed_request", detail, param="Idempotency-Key")
    return key


def fingerprint(path: str, body: bytes) -> bytes:
    """What makes two requests the same. No body and ``{}`` are."""
    mark = hashlib.sha256(path.encode() + b"\0")
    mark.update(body.strip() or b"{}")
    return mark.digest()


class Answers:
    """The rows, and what happens to them. ``now`` is machine time in seconds since 1970.

    ``unkept`` are requests of this process that are over though their rows say that they run.
    """

    def __init__(self, state: Store, wrapper: Wrapper, unkept: set[Running]) -> None:
        self._state = state
        self._wrapper = wrapper
        self._unkept = unkept

    def begin(self, asked: Asked, now: int) -> Running | Response:
        """The right to go on, or the answer given before.

        Raises ``idempotency_key_reused`` and ``idempotency_key_in_use``.
        """
        with self._state.write() as connection:
            row = connection.execute(_finding, _of(asked)).first()
            if row is None:
                connection.execute(_adding, _new(asked, now))
                return Running(asked, 1)
            runs = _runs(row, now) and Running(asked, row.attempt) not in self._unkept
            _check(row, asked, runs=runs)
            if row.answer is not None:
                return self._replay(asked, row.answer)
            return _take_over(connection, row, asked, now)

    def finish(self, running: Running, answer: Response, code: str | None) -> None:
        """Keeps the answer, or frees the key where the answer is not to be kept. Raises
        ``storage_full``; then the next request with the key runs the same command again."""
        try:
            self._finish(running, answer, code)
        except Unavailable:
            self._unkept.add(running)
            raise

    def _finish(self, running: Running, answer: Response, code: str | None) -> None:
        failpoints.reach("answer.before")
        ending, values = self._ending(running, answer, code)
        mine = _of(running.asked) | {"my_attempt": running.attempt}
        with self._state.write() as connection:
            connection.execute(ending, mine | values)
        failpoints.reach("answer.after")

    def _ending(
        self, running: Running, answer: Response, code: str | None
    ) -> tuple[Any, dict[str, Any]]:
        if answer.status_code >= _SERVER_ERROR:
            return _giving_up, {}
        if answer.status_code not in _NOT_KEPT and code not in _NOT_KEPT_CODES:
            return _keeping, {"answer": self._stored(running.asked, answer)}
        # After an earlier attempt that may have done something, the request stays bound to its key.
        return (_freeing if running.attempt == 1 else _giving_up), {}

    def _stored(self, asked: Asked, answer: Response) -> bytes:
        # Encrypted: an answer may show a new API key or a person's name.
        headers = {n: answer.headers[n] for n in _KEPT_HEADERS if n in answer.headers}
        plain = msgspec.json.encode(
            {
                "status": answer.status_code,
                "headers": headers,
                "body": base64.b64encode(answer.get_data()).decode(),
            }
        )
        return self._wrapper.wrap(asked.name, plain)

    def _replay(self, asked: Asked, stored: bytes) -> Response:
        plain = msgspec.json.decode(self._wrapper.unwrap(asked.name, stored))
        answer = Response(base64.b64decode(plain["body"]), plain["status"])
        for name, text in plain["headers"].items():
            answer.headers[name] = text
        answer.headers["Idempotent-Replayed"] = "true"
        return answer


def sweep(state: Store, now: int) -> int:
    """Deletes rows past their life; says how many."""
    with state.write() as connection:
        old = table.c.created_at < now - KEPT_SECONDS
        return int(connection.execute(delete(table).where(old)).rowcount)


def renew(state: Store, running: Iterable[Running], now: int) -> None:
    """These still run. One that another request took over meanwhile stays that one's."""
    with state.write() as connection:
        for one in running:
            mine = _of(one.asked) | {"my_attempt": one.attempt, "its_end": now + RUNNING_SECONDS}
            connection.execute(_renewing, mine)


def give_up_running(state: Store) -> None:
    """After a start: what the dead process was answering may be asked again at once. Only where one
    process answers (embedded); others wait until the row says that it is over."""
    with state.write() as connection:
        unanswered = table.c.answer.is_(None)
        connection.execute(update(table).where(unanswered).values(running_until=0))


def _of(asked: Asked) -> dict[str, Any]:
    return {"its_account": asked.account_id, "its_route": asked.route, "its_key": asked.key}


_its_row = (
    (table.c.account_id == bindparam("its_account"))
    & (table.c.route == bindparam("its_route"))
    & (table.c.key == bindparam("its_key"))
)
_mine = _its_row & (table.c.attempt == bindparam("my_attempt"))
_finding = select(table).where(_its_row)
_adding = insert(table)
_keeping = update(table).where(_mine).values(answer=bindparam("answer"))
_renewing = update(table).where(_mine).values(running_until=bindparam("its_end"))
_giving_up = update(table).where(_mine).values(running_until=0)
_freeing = delete(table).where(_mine)


def _new(asked: Asked, now: int) -> dict[str, Any]:
    return {
        "account_id": asked.account_id,
        "route": asked.route,
        "key": asked.key,
        "request_hash": asked.fingerprint,
        "attempt": 1,
        "running_until": now + RUNNING_SECONDS,
        "answer": None,
        "created_at": now,
    }


def _runs(row: Row[Any], now: int) -> bool:
    # No process writes an instant that is far away, unless its clock was wrong.
    return bool(now < row.running_until <= now + _FARTHEST_SECONDS)


def _check(row: Row[Any], asked: Asked, *, runs: bool) -> None:
    if row.request_hash != asked.fingerprint:
        raise refusal("idempotency_key_reused", param="Idempotency-Key")
    if row.answer is None and runs:
        raise refusal("idempotency_key_in_use", param="Idempotency-Key", retry_after=1)


def _take_over(connection: Connection, row: Row[Any], asked: Asked, now: int) -> Running:
    values = {"attempt": row.attempt + 1, "running_until": now + RUNNING_SECONDS}
    connection.execute(update(table).where(_its_row).values(values), _of(asked))
    return Running(asked, row.attempt + 1)

"""Those who listen on the bus, and a log with something to say: plain parts for the bus's tests."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombu import Connection, Exchange, Queue

from shared.codec import Meta, encode_meta
from shared.eventlog import Entry, NewEvent
from shared.eventlog.sqlite import SqliteLog
from tests.support.children import Output, status_of
from tests.support.worlds import START

ROOT = Path(__file__).parents[3]
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Heard:
    """One message as it came."""

    message_id: str
    headers: dict[str, Any]
    body: dict[str, Any]
    properties: dict[str, Any]

    @property
    def position(self) -> int:
        return int(self.headers["position"])


class Listener:
    """Somebody who speaks AMQP and knows nothing of us: a durable queue on one exchange."""

    def __init__(self, uri: str, exchange: str = "orders.events", key: str = "#") -> None:
        self._uri = uri
        made = Exchange(exchange, type="topic", durable=True)
        name = f"test-{uuid.uuid4().hex}"
        self._queue = Queue(name, made, routing_key=key, durable=True)
        with Connection(uri) as connection:
            self._queue(connection.default_channel).declare()

    def heard(self, count: int) -> list[Heard]:
        """Waits for so many different messages; answers with everything that came until then."""
        return self.until(lambda found: len({one.message_id for one in found}) >= count)

    def until(self, enough: Callable[[list[Heard]], bool]) -> list[Heard]:
        """Waits until what came is enough."""
        found: list[Heard] = []
        with Connection(self._uri) as connection:
            consumer = connection.Consumer(
                [self._queue], on_message=lambda m: found.append(_taken(m))
            )
            end = time.monotonic() + _PATIENCE_SECONDS
            with consumer:
                while not enough(found):
                    left = end - time.monotonic()
                    assert left > 0, f"only {len(found)} messages came"
                    connection.drain_events(timeout=left)
        return found

    def rest(self) -> list[Heard]:
        """What lies in the queue right now."""
        found = []
        with Connection(self._uri) as connection:
            queue = self._queue(connection.default_channel)
            while (message := queue.get()) is not None:
                found.append(_taken(message))
        return found


def _taken(message: Any) -> Heard:
    message.ack()
    found = message.properties
    return Heard(found.get("message_id", ""), message.headers, json.loads(message.body), found)


def several(messages: list[Heard]) -> set[str]:
    """The messages that came more than once."""
    counted = Counter(one.message_id for one in messages)
    return {name for name, times in counted.items() if times > 1}


class Writer:
    """Writes published events into a log: one order after the other is paid."""

    def __init__(self, data: Path) -> None:
        self.log = SqliteLog(data / "log.db")
        self._n = self.log.head()

    def write(self, count: int, payload: bytes | None = None, **more: Any) -> list[int]:
        """So many events, each in a stream of its own unless one is named; their positions."""
        entries = [self._entry(payload, **more) for _ in range(count)]
        return [p for one in self.log.append_batch(entries) for p in one.positions]

    def _entry(
        self, payload: bytes | None, stream: str = "", version: int = 0, schema: int = 1
    ) -> Entry:
        self._n += 1
        order = f"ord_{self._n}"
        meta = Meta(
            command_id=uuid.uuid4(),
            correlation_id=f"req_{self._n}",
            actor="user:u_1",
            occurred_at=START,
            causation_id="evt_cause",
            traceparent="00-1-2-01",
        )
        stored = payload if payload is not None else self._payload(order)
        event = NewEvent(
            uuid.uuid4().bytes, "acct_1", "OrderPaid", schema, stored, encode_meta(meta)
        )
        return Entry(stream or f"order-{order}", "order", version, (event,))

    @staticmethod
    def _payload(order: str) -> bytes:
        money = {"currency": "USD", "micros": 1_260_000}
        paid = {"account_id": "acct_1", "amount": money, "charge_id": None, "hold_id": "qt_1"}
        return json.dumps(paid | {"order_id": order}).encode()


@dataclass
class RelayProcess:
    """``python -m deploy.relay`` on a data folder."""

    data: Path
    uri: str
    failpoint: str = ""
    process: subprocess.Popen[bytes] | None = None
    more: dict[str, str] = field(default_factory=dict)

    @functools.cached_property
    def output(self) -> Output:
        """Its log, apart from that of others on the same data."""
        return Output(self.data.parent / f"relay-{uuid.uuid4().hex}.log")

    def start(self) -> RelayProcess:
        """Starts it; it says in its log what it does."""
        ours = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(self.data), "PBXIM_AMQP": self.uri}
        ours |= {"PBXIM_LOG_JSON": "1", "PBXIM_FAILPOINT": self.failpoint}
        with self.output.opened() as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.relay"],
                cwd=ROOT,
                env=os.environ | ours | self.more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def said(self, word: str) -> dict[str, Any]:
        """Reads its log up to a word."""
        assert self.process is not None
        found: dict[str, Any] = json.loads(
            self.output.line_with(f'"{word}"'.encode(), self.process)
        )
        return found

    def ended(self) -> int:
        """Waits for its end; the exit status."""
        assert self.process is not None
        return status_of(self.process, self.output)

    def close(self) -> None:
        """Ends it, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.ended()

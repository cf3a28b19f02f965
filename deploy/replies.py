"""The link on which a process of services answers calls.

nameko takes a link from a pool for each answer, encodes the answer twice and waits until the broker
has confirmed it. An answer needs no confirmation: if it is lost its caller asks again, and the key
of a command makes it the same one. So there is one link for all answers of a process, and sending
one is a write to it.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import OperationalError

from deploy import wire
from deploy.broker import link
from deploy.publisher import AT_ONCE, patience
from deploy.topology import RPC_EXCHANGE

_SECONDS = 5.0
_TRANSIENT = 1


class Replies:
    """One link, made when it is needed and anew when the broker has ended it; for any number of
    threads, one at a time."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._channel: Any = None

    def send(self, queue: str, body: str, correlation_id: str | None) -> None:
        """Sends an answer to the queue that a caller listens on; one that is gone hears nothing.
        Raises ``AMQPError``, ``OperationalError`` and ``OSError`` without a broker."""
        with self._turn:
            if self._connection is None:
                self._connect()
            try:  # amqp looks before it writes, so nothing goes into a link that was ended.
                self._publish(queue, body, correlation_id)
            except (AMQPError, OperationalError, OSError):
                self._connect()
                self._publish(queue, body, correlation_id)

    def close(self) -> None:
        """Lets go of the link."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.collect(socket_timeout=1)

    def _connect(self) -> None:
        self.close()
        made = link(
            self._uri,
            connect_timeout=_SECONDS,
            heartbeat=0,
            transport_options=patience(_SECONDS),
        )
        made.ensure_connection(**AT_ONCE)
        self._connection, self._channel = made, made.channel()

    def _publish(self, queue: str, body: str, correlation_id: str | None) -> None:
        named = {"correlation_id": correlation_id} if correlation_id else {}
        message = self._channel.prepare_message(
            body,
            content_type=wire.CONTENT_TYPE,
            content_encoding="utf-8",
            properties={"delivery_mode": _TRANSIENT, **named},
        )
        self._channel.basic_publish(message, RPC_EXCHANGE.name, queue)

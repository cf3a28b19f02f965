"""A link to the broker that publishes batches and knows what the broker has taken over.

A message is confirmed when every queue it goes to has it on disk. ``kombu`` waits for each message;
here a whole batch is under way at once, and the answers are awaited together.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import OperationalError

from deploy import topology
from deploy.broker import link
from deploy.public_events import Outgoing
from shared import failpoints
from shared.refusals import refusal

_PERSISTENT = 2
_CONNECT_SECONDS = 5.0
_CONFIRM_SECONDS = 30.0  # A broker that is short of memory makes publishers wait.
_HEARTBEAT_SECONDS = 20
# kombu would wait two seconds before its second try; whoever calls has a better idea.
AT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}


def patience(seconds: float) -> dict[str, float]:
    """How long to wait for a broker that has taken the connection and says no more."""
    return {"read_timeout": seconds, "write_timeout": seconds}


class Publisher:
    """One connection, one channel with confirms. Not for two threads at once."""

    def __init__(self, uri: str, confirm_seconds: float = _CONFIRM_SECONDS) -> None:
        self._uri = uri
        self._confirm_seconds = confirm_seconds
        self._connection: Connection | None = None
        self._channel: Any = None
        self._sent = 0
        self._open: set[int] = set()
        self._refused = False

    def connect(self) -> None:
        """Connects and declares the topology. Raises ``service_unavailable``."""
        self.close()
        with _translated():
            self._connection = link(
                self._uri,
                connect_timeout=_CONNECT_SECONDS,
                heartbeat=_HEARTBEAT_SECONDS,
                transport_options=patience(self._confirm_seconds),
            )
            self._connection.ensure_connection(**AT_ONCE)
            self._channel = self._connection.channel()
            topology.declare(self._channel)
            self._channel.confirm_select()
        self._sent, self._refused = 0, False
        self._open.clear()
        self._channel.events["basic_ack"].add(self._acknowledged)
        self._channel.events["basic_nack"].add(self._not_taken)

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Publishes all of it and waits until the broker has taken it over.

        Raises ``service_unavailable``: then nobody knows how much of it arrived, the link is of no
        use any more, and all of it has to be published again.
        """
        if self._channel is None:
            self.connect()
        try:
            with _translated():
                self._send(batch)
                failpoints.reach("relay.published")
                self._await_confirms()
        except BaseException:
            self.close()
            raise

    def beat(self) -> None:
        """Keeps an idle link alive and notices a dead one. Raises ``service_unavailable``."""
        if self._connection is None:
            return
        try:
            with _translated():
                self._connection.heartbeat_check()
                with contextlib.suppress(socket.timeout):
                    self._connection.drain_events(timeout=0.001)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the link."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.collect(socket_timeout=1)

    def _send(self, batch: Sequence[Outgoing]) -> None:
        for one in batch:
            message = self._channel.prepare_message(
                one.body,
                content_type="application/json",
                content_encoding="utf-8",
                headers=one.headers,
                properties={
                    "delivery_mode": _PERSISTENT,
                    "message_id": one.message_id,
                    "type": one.routing_key,
                },
            )
            self._sent += 1
            self._open.add(self._sent)
            self._channel.basic_publish(message, one.exchange, one.routing_key)

    def _await_confirms(self) -> None:
        end = time.monotonic() + self._confirm_seconds
        while self._open:
            left = end - time.monotonic()
            if left <= 0:
                raise refusal("service_unavailable", "The broker does not confirm.")
            assert self._connection is not None  # nosec B101  # For the type checker.
            self._connection.drain_events(timeout=left)
        if self._refused:
            raise refusal("service_unavailable", "The broker refused a message.")

    def _acknowledged(self, tag: int, multiple: bool) -> None:  # noqa: FBT001  # amqp calls it so.
        if multiple:
            self._open = {t for t in self._open if t > tag}
        else:
            self._open.discard(tag)

    def _not_taken(self, tag: int, multiple: bool) -> None:  # noqa: FBT001  # See above.
        self._refused = True
        self._acknowledged(tag, multiple)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (AMQPError, OperationalError, OSError) as error:
        raise refusal("service_unavailable", f"RabbitMQ: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What went wrong, for a person, without an address (it may hold a password)."""
    return f"{type(error).__name__}: {getattr(error, 'reply_text', '') or error.args[-1:]}"

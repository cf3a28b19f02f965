"""How a nameko process is linked to RabbitMQ: what it hears calls by, and what it answers on."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, ClassVar

from amqp.exceptions import AMQPError, RecoverableConnectionError
from kombu import Connection
from kombu.exceptions import OperationalError
from nameko import exceptions as nameko_exceptions
from nameko.constants import AMQP_SSL_CONFIG_KEY, AMQP_URI_CONFIG_KEY
from nameko.messaging import QueueConsumer, QueueConsumerStopped
from nameko.rpc import Rpc, RpcConsumer

from deploy import broker, wire
from deploy.replies import Replies
from shared import config, failpoints, logging

_log = logging.logger("rpc")


@functools.cache
def _broker_in_settings() -> str | None:
    return config.load().amqp


class Links(QueueConsumer):  # type: ignore[misc]  # nameko ships no types.
    """Is back a second after the broker is: nameko waits two seconds longer after each try to
    connect, up to thirty. Knows of every service of this process how it is linked.

    A kombu connection that has ended connects again by itself when it is asked for anything, and
    nameko would wait on that one for calls that nobody sends there: its channel and its consumers
    went with the old one. It comes to that when another thread of the process is the first to find
    the link cut, as one is that acknowledges a call after the hub was busy.
    """

    linked: ClassVar[dict[str, Connection | None]] = {}
    _made: Any = None  # What kombu connected while we looked on.

    @classmethod
    def away(cls) -> list[str]:
        """The services of this process that hear no calls now."""
        return sorted(service for service, link in cls.linked.items() if link is None)

    def setup(self) -> None:
        """Not linked yet. The broker is the one that the settings name, also by a file."""
        self.linked[self.container.service_name] = None
        if (uri := _broker_in_settings()) is not None:
            plain, tls = broker.parts(uri)
            self.container.config |= {AMQP_URI_CONFIG_KEY: plain, AMQP_SSL_CONFIG_KEY: tls}
        super().setup()

    @contextlib.contextmanager
    def establish_connection(self) -> Iterator[Any]:
        """The link of one turn of consuming."""
        with self.create_connection() as connection:
            connection.ensure_connection(
                self.on_connection_error,
                self.connect_max_retries,
                interval_start=0.2,
                interval_step=0.2,
                interval_max=1,
            )
            self._made, self.linked[self.container.service_name] = connection.connection, connection
            try:
                yield connection
            finally:
                self.linked[self.container.service_name] = None

    def on_iteration(self) -> None:
        """Begins anew on a link that was lost, whoever has noticed it."""
        link = self.linked[self.container.service_name]
        if link is None or not link.connected or link.connection is not self._made:
            raise RecoverableConnectionError("The link to RabbitMQ was cut.")
        super().on_iteration()

    def run(self, _tokens: int = 1, **arguments: Any) -> None:
        """Being told to stop before the broker was there is no error to report."""
        with contextlib.suppress(QueueConsumerStopped):
            super().run(_tokens, **arguments)

    def ack_message(self, message: Any) -> None:
        """Until here the broker would give the call to another process."""
        failpoints.reach("rpc.answered")
        super().ack_message(message)
        failpoints.reach("rpc.acked")

    def stop(self) -> None:
        """Also what never began can be stopped."""
        if self._gt is not None:
            super().stop()


@functools.cache
def _replies(uri: str) -> Replies:
    return Replies(uri)


class Answers(RpcConsumer):  # type: ignore[misc]  # See above.
    """Outlives a broker that is gone when a call ends: in nameko an answer that cannot be sent ends
    the whole process."""

    queue_consumer = Links()

    def handle_result(self, message: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
        """Answers. An answer that cannot be sent is dropped: its caller has given up, and the call
        comes again from the queue, where its key makes it the same command."""
        try:
            if (body := _plain_answer(message, result, exc_info)) is None:
                said: tuple[Any, Any] = super().handle_result(message, result, exc_info)
                return said
            about = message.properties
            uri = _broker_in_settings() or self.container.config[AMQP_URI_CONFIG_KEY]
            _replies(uri).send(about["reply_to"], body, about.get("correlation_id"))
            self.queue_consumer.ack_message(message)
        except (AMQPError, OperationalError, OSError):
            _log.warning("rpc_answer_lost")
        return result, exc_info


def _plain_answer(message: Any, result: Any, exc_info: Any) -> str | None:
    # What is in another form, or cannot be put into ours, nameko answers as it always does.
    if message.properties.get("content_type") != wire.CONTENT_TYPE:
        return None
    error = None if exc_info is None else nameko_exceptions.serialize(exc_info[1])
    try:
        return wire.encode({"result": result, "error": error})
    except TypeError:
        return None


class Entry(Rpc):  # type: ignore[misc]  # See above.
    """A method that can be called over RabbitMQ."""

    rpc_consumer = Answers()

    def check_signature(self, args: Any, kwargs: Any) -> None:
        """Our calls take a context and whatever is named; what of it fits is found out later."""
        if len(args) > 1 or (args and "context" in kwargs):
            super().check_signature(args, kwargs)

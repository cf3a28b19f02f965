"""Calls nameko services from ordinary threads: a pool of AMQP links with time-outs.

It speaks nameko's protocol and loads neither nameko nor eventlet: a request goes to ``nameko-rpc``
under ``service.method``, the answer comes to a queue that belongs to the link. A link is one
thread's for one call. One whose call got no answer is thrown away, because a late answer would be
taken for the next one's; so is one that the broker cut. Whoever calls is told
``service_unavailable`` then, and may repeat the call: commands carry the key that makes them one.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Queue
from kombu.exceptions import OperationalError

from deploy import wire
from deploy.broker import link as connection_to
from deploy.publisher import AT_ONCE, patience, reason
from deploy.topology import RPC_EXCHANGE
from shared import failpoints
from shared.refusals import refusal
from shared.rpc import CallContext

_SIZE = 8
_CALL_SECONDS = 10.0
_CONNECT_SECONDS = 3.0


class RpcClient:
    """A ``Client`` over RabbitMQ, for any number of threads; ``size`` calls are under way at once.

    ``seconds`` is what a call may take in all, waiting for a free link included; a context with a
    ``deadline`` may ask for less.
    """

    def __init__(self, uri: str, size: int = _SIZE, seconds: float = _CALL_SECONDS) -> None:
        self._uri = uri
        self._seconds = seconds
        self._slots: queue.LifoQueue[_Link | None] = queue.LifoQueue()
        for _ in range(size):  # Links are made when they are needed, after a fork.
            self._slots.put(None)

    def call(self, service: str, method: str, context: CallContext, **arguments: Any) -> Any:
        """See ``Client.call``. Raises ``service_unavailable`` where there is no answer in time, no
        broker or no such service; ``method_unknown``; ``internal_error`` for what went wrong
        inside."""
        allowed = self._allowed(context)
        if allowed <= 0:
            raise refusal("service_unavailable", "There is no time left for this call.")
        end = time.monotonic() + allowed
        request = {"args": (context,), "kwargs": arguments}
        with self._link(end) as link:
            answer = link.ask(f"{service}.{method}", wire.encode(request), _headers(context), end)
        if answer["error"] is not None:
            raise wire.from_answer(answer["error"], f"{service}.{method}")
        return answer["result"]

    def close(self) -> None:
        """Lets go of the links that are not in use."""
        held = []
        with contextlib.suppress(queue.Empty):
            while True:
                held.append(self._slots.get_nowait())
        for link in held:
            if link is not None:
                link.close()
            self._slots.put(None)

    def _allowed(self, context: CallContext) -> float:
        left = context.deadline - time.time() if context.deadline else self._seconds
        return min(left, self._seconds)

    @contextlib.contextmanager
    def _link(self, end: float) -> Iterator[_Link]:
        held = self._free(end)
        try:
            if held is not None and not held.alive():
                held.close()  # The broker was restarted since; that costs no caller an error.
                held = None
            held = held or _Link(self._uri, self._seconds)
            yield held
        except BaseException:
            if held is not None:
                held.close()
            held = None
            raise
        finally:
            self._slots.put(held)

    def _free(self, end: float) -> _Link | None:
        try:
            return self._slots.get(timeout=max(end - time.monotonic(), 0))
        except queue.Empty:
            raise refusal("service_unavailable", "All links are in use.") from None


class _Link:
    """A connection with a queue for answers. One call at a time."""

    def __init__(self, uri: str, seconds: float = _CALL_SECONDS) -> None:
        self._answers: dict[str, Any] = {}
        self._returned = False
        self._name = f"rpc.reply-pool-{uuid.uuid4()}"
        # Without heartbeats: nobody would send them while the link waits in the pool.
        self._connection = connection_to(
            uri,
            connect_timeout=min(seconds, _CONNECT_SECONDS),
            heartbeat=0,
            transport_options=patience(seconds),
        )
        try:
            with _translated():
                self._connection.ensure_connection(**AT_ONCE)
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._channel = self._connection.channel()
        self._channel.events["basic_return"].add(self._not_routed)
        RPC_EXCHANGE(self._channel).declare()
        replies = Queue(
            self._name, RPC_EXCHANGE, routing_key=self._name, exclusive=True, auto_delete=True
        )
        replies(self._channel).declare()
        self._channel.basic_consume(self._name, no_ack=True, callback=self._answered)

    def alive(self) -> bool:
        """Whether the broker still knows this link, as far as can be seen without asking it."""
        try:
            with contextlib.suppress(socket.timeout):
                self._connection.drain_events(timeout=0)
        except (AMQPError, OperationalError, OSError):
            return False
        return True

    def ask(self, route: str, request: str, headers: dict[str, str], end: float) -> Any:
        """Sends a request and waits for its answer until ``end`` (monotonic seconds)."""
        call_id = uuid.uuid4().hex
        with _translated():
            self._send(route, request, headers, call_id, end)
            failpoints.reach("call.sent")
            while call_id not in self._answers:
                left = end - time.monotonic()
                if left <= 0:
                    raise refusal("service_unavailable", f"{route} did not answer in time.")
                with contextlib.suppress(TimeoutError):  # Then it is told above.
                    self._connection.drain_events(timeout=left)
                if self._returned:
                    raise refusal("service_unavailable", f"Nobody answers {route}.")
        failpoints.reach("call.answered")
        return self._answers.pop(call_id)

    def _send(
        self, route: str, request: str, headers: dict[str, str], call_id: str, end: float
    ) -> None:
        left = max(end - time.monotonic(), 0.001)
        message = self._channel.prepare_message(
            request,
            content_type=wire.CONTENT_TYPE,
            content_encoding="utf-8",
            headers=headers,
            properties={
                "reply_to": self._name,
                "correlation_id": call_id,
                "delivery_mode": 1,
                # Nobody waits for an answer to what is fetched later than that.
                "expiration": str(int(left * 1000) + 1),
            },
        )
        self._channel.basic_publish(message, RPC_EXCHANGE.name, route, mandatory=True)

    def close(self) -> None:
        """Lets go of the connection, without a word to a broker that may not listen."""
        with contextlib.suppress(Exception):
            self._connection.collect(socket_timeout=1)

    def _answered(self, message: Any) -> None:
        self._answers[message.properties["correlation_id"]] = wire.decode(message.body)

    def _not_routed(self, *_about: Any) -> None:
        self._returned = True


def _headers(context: CallContext) -> dict[str, str]:
    # nameko takes these into the worker's context, and into the calls and events that follow.
    headers = {
        "nameko.correlation_id": context.correlation_id,
        "nameko.traceparent": context.traceparent,
    }
    return {name: found for name, found in headers.items() if found}


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (AMQPError, OperationalError, OSError) as error:
        raise refusal("service_unavailable", f"RabbitMQ: {reason(error)}") from error

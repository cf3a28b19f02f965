"""Answers on one link of a process, through a gate to the broker that can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from kombu import Queue
from kombu.exceptions import OperationalError

from deploy.broker import link
from deploy.replies import Replies
from deploy.topology import RPC_EXCHANGE
from tests.support.rabbitmq import Broker, free_port

pytestmark = pytest.mark.broker
PATIENCE = 20.0


class Gate:
    """Passes on what is said on either side of it, until it is cut."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def cut(self) -> None:
        """Ends every connection; new ones may be made."""
        while self._ends:
            end = self._ends.pop()
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Nobody comes through any more."""
        self._listening.close()
        self.cut()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._behind), PATIENCE)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError), one:
            while data := one.recv(4096):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


class Caller:
    """Listens for answers."""

    def __init__(self, broker: Broker) -> None:
        self.connection = link(broker.uri)
        self._queue = Queue("answers-here", RPC_EXCHANGE, "answers-here", exclusive=True)(
            self.connection.channel()
        )
        self._queue.declare()

    def heard(self) -> tuple[str, str]:
        """The next answer and its correlation id."""
        for _ in range(int(PATIENCE / 0.05)):
            if (message := self._queue.get(no_ack=True)) is not None:
                return message.body, message.properties["correlation_id"]
            threading.Event().wait(0.05)
        pytest.fail("no answer came")


@pytest.fixture
def caller(broker: Broker) -> Iterator[Caller]:
    found = Caller(broker)
    yield found
    found.connection.close()


@pytest.fixture
def gate(broker: Broker) -> Iterator[Gate]:
    found = Gate(urlsplit(broker.uri).port or 0)
    yield found
    found.close()


@pytest.fixture
def replies(broker: Broker, gate: Gate) -> Iterator[Replies]:
    place = urlsplit(broker.uri)
    found = Replies(broker.uri.replace(f":{place.port}", f":{gate.port}"))
    yield found
    found.close()


def test_answers_arrive_with_the_id_of_their_call(caller: Caller, replies: Replies) -> None:
    for n in range(3):
        replies.send("answers-here", f'{{"n":{n}}}', f"call-{n}")

    assert [caller.heard() for _ in range(3)] == [(f'{{"n":{n}}}', f"call-{n}") for n in range(3)]


def test_no_answer_is_lost_on_a_link_that_the_broker_has_ended(
    caller: Caller, replies: Replies, gate: Gate
) -> None:
    """The first write to such a link does not fail."""
    for n in range(5):
        replies.send("answers-here", "{}", f"call-{n}")
        assert caller.heard() == ("{}", f"call-{n}")
        gate.cut()


def test_an_answer_to_a_caller_who_is_gone_disturbs_nobody(
    caller: Caller, replies: Replies
) -> None:
    replies.send("nobody", "{}", "call-1")
    replies.send("answers-here", "{}", "call-2")

    assert caller.heard() == ("{}", "call-2")


def test_without_a_broker_sending_fails() -> None:
    replies = Replies(f"amqp://guest:guest@127.0.0.1:{free_port()}//")

    with pytest.raises(OperationalError, match="refused"):
        replies.send("answers-here", "{}", "call-1")

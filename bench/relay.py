"""The relay: events of a filled log onto RabbitMQ, each confirmed, beside bare publishing of the
same messages over the same kind of link."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from kombu import Connection, Exchange, Queue

from bench.filling import Filler
from bench.folders import SHARE
from bench.many_processes import settings_for
from bench.report import Figure, check
from bench.run import Run
from bench.servers import own_servers
from bench.stock import file_blocks
from deploy.forwarding import Relay
from deploy.public_events import SERVICES, Outgoing, exchange_name, outgoing
from deploy.publisher import Publisher
from deploy.stores import RELAY, open_store
from shared.eventlog.postgres import PostgresLog
from shared.stores import Store

_AT_ONCE = 500
_SECONDS = 30.0
_LISTENER = "bench.listener"


def measure(run: Run) -> list[Figure]:
    """From the beginning of the log to its end, into a durable queue that takes everything."""
    data = run.work / "used" / "relay"
    with own_servers(data / "up", broker=True) as servers:
        settings = settings_for(data, servers)
        filler, stock = Filler(data, settings=settings), file_blocks()
        filler.add_accounts(run.sizes.accounts)
        filler.add_stock(stock)
        filler.buy(run.sizes.purchases // 4, stock, SHARE)
        filler.close()
        log, state = PostgresLog(servers.database()), open_store(settings, "state", RELAY)
        with closing(log), closing(state), closing(Publisher(servers.broker)) as publisher:
            publisher.connect()
            with _listening(servers.broker) as heard:
                return [_compared(log, state, publisher, heard)]


def _compared(
    log: PostgresLog, state: Store, publisher: Publisher, heard: Callable[[int], list[str]]
) -> Figure:
    wanted = _wanted(log)
    bare = _bare(publisher, wanted)
    check(heard(len(wanted)) == [one.message_id for one in wanted], "bare: messages are missing")
    relay, began = Relay(log, state, publisher), time.perf_counter()
    while relay.step():
        pass
    spent = time.perf_counter() - began
    check(relay.position == log.head(), "the relay did not come to the end of the log")
    check(heard(len(wanted)) == [one.message_id for one in wanted], "messages are missing")
    return Figure(
        what="relay: events of the log, published with confirms",
        value=log.head() / spent,
        unit="events/s",
        at_least=8_000,
        peer=len(wanted) / bare,
        peer_is="bare publishing, messages/s",
        note=f"{log.head():,} events, {len(wanted):,} of them published: "
        f"{len(wanted) / spent:,.0f} messages/s",
    )


def _wanted(log: PostgresLog) -> list[Outgoing]:
    found: list[Outgoing] = []
    last = 0
    while page := log.read_all(last, 4096):
        found += [one for one in map(outgoing, page) if one is not None]
        last = page[-1].position
    return found


def _bare(publisher: Publisher, messages: Sequence[Outgoing]) -> float:
    began = time.perf_counter()
    for first in range(0, len(messages), _AT_ONCE):
        publisher.publish(messages[first : first + _AT_ONCE])
    return time.perf_counter() - began


@contextmanager
def _listening(broker: str) -> Iterator[Callable[[int], list[str]]]:
    """A durable queue bound to everything; what is called takes so many messages out of it."""
    with Connection(broker) as connection:
        channel = connection.channel()
        for service in SERVICES:
            exchange = Exchange(exchange_name(service), type="topic", durable=True)
            Queue(_LISTENER, exchange, routing_key="#", durable=True)(channel).declare()

        def take(many: int) -> list[str]:
            found: list[str] = []
            end = time.monotonic() + _SECONDS
            while len(found) < many:
                check(time.monotonic() < end, f"only {len(found)} of {many} messages arrived")
                message = channel.basic_get(_LISTENER, no_ack=True)
                if message is not None:
                    found.append(message.properties["message_id"])
            check(channel.basic_get(_LISTENER, no_ack=True) is None, "there are too many messages")
            return found

        yield take

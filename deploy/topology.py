"""What we declare on the broker, in one place: a durable topic exchange for each service's events.

Queues belong to those who listen: they declare and bind their own (nameko's ``@event_handler``
does), durable ones if they want what happens while they are away, quorum ones by a policy. Whoever
lists this file knows everything that the product itself makes.
"""

from __future__ import annotations

from typing import Any

from kombu import Exchange

from deploy.public_events import SERVICES, exchange_name

EXCHANGES = tuple(Exchange(exchange_name(s), type="topic", durable=True) for s in SERVICES)
# Calls: nameko's own exchange, as nameko declares it.
RPC_EXCHANGE = Exchange("nameko-rpc", type="topic", durable=True)


def declare(channel: Any) -> None:
    """Makes the exchanges of events that are not there. Repeating it is harmless."""
    for exchange in EXCHANGES:
        exchange(channel).declare()

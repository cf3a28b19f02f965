"""A service of somebody else's: it hears of every number that is bought, and greets it.

It knows nothing of PBX.IM Numbers but the name of an exchange and of an event. Start it with

    nameko run --broker amqp://guest:guest@127.0.0.1:5672/ listen_to_purchases

Its queue is durable: what happens while it is away is waiting when it comes back. Deliveries may be
repeated (``id`` is the same then) and may come out of order (``position`` is the place in the log),
and nameko forgets an event whose handler raised: what must not be lost is written down first.
"""

import json
import sys
from typing import Any

from nameko.events import event_handler


class GreetingService:
    """Prints one line of JSON for each number that was bought."""

    name = "greeting"

    @event_handler("orders", "NumberPurchased")
    def greet(self, event: dict[str, Any]) -> None:
        """``event`` is the public form: docs/reference/events.md."""
        bought = event["data"]
        line = {"id": event["id"], "position": event["position"], "hello": bought["number"]}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

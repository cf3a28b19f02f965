"""The log, read from its beginning and followed: order, gaps, doubles, and the fate of orders."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from deploy.public_events import PUBLISHED
from shared.eventlog import EventLog, Recorded
from shared.ids import event_id_text

_BATCH = 5000
POISON = "acct_poison"  # Whose events nobody can read, on purpose.
_ONCE_PER_ORDER = (
    "OrderPlaced",
    "OrderReserved",
    "ChargeRequested",
    "ChargeSucceeded",
    "OrderPaid",
    "OrderFulfilled",
)


class Audit:
    """What was seen so far. It stands beside the product and trusts none of its read models."""

    def __init__(self) -> None:
        self.position = 0
        self.broken: list[str] = []
        self.holds: dict[str, set[str]] = defaultdict(set)
        self.orders: dict[str, set[str]] = defaultdict(set)
        self.types: dict[str, Counter[str]] = defaultdict(Counter)
        self.bought: dict[str, list[str]] = defaultdict(list)
        self.allocated: Counter[str] = Counter()
        self.published: dict[str, set[str]] = defaultdict(set)
        self._versions: dict[str, int] = {}
        self._ids: set[bytes] = set()

    def follow(self, log: EventLog) -> None:
        """Reads on to the head."""
        while batch := log.read_all(self.position, _BATCH):
            for event in batch:
                self._see(event)

    def problems(self, accounts: set[str]) -> Iterator[tuple[str, str]]:
        """What is doubled or broken in the log, of these accounts: (kind, words)."""
        for words in self.broken:
            yield "broken", words
        for account in accounts:
            for order in self.orders[account]:
                for kind in _ONCE_PER_ORDER:
                    if self.types[order][kind] > 1:
                        yield "doubled", f"{kind} of {order}: {self.types[order][kind]} times"
        for stream, times in self.allocated.items():
            if times > 1:
                yield "doubled", f"{stream} was allocated {times} times"

    def _see(self, event: Recorded) -> None:
        if event.position != self.position + 1:
            self.broken.append(f"position {event.position} follows {self.position}")
        self.position = event.position
        if event.event_id in self._ids:
            self.broken.append(f"{event_id_text(event.event_id)} is there twice")
        self._ids.add(event.event_id)
        last = self._versions.get(event.stream, 0)
        if event.version != last + 1:
            self.broken.append(f"{event.stream}: version {event.version} follows {last}")
        self._versions[event.stream] = event.version
        self._understand(event)

    def _understand(self, event: Recorded) -> None:
        if event.type in PUBLISHED and event.account_id != POISON:
            self.published[PUBLISHED[event.type].service].add(event_id_text(event.event_id))
        if event.type == "HoldAsked":
            hold = event.stream.removeprefix("hold-")
            if not hold.startswith("ord_"):  # Of the free number, which nobody asks for.
                self.holds[event.account_id].add(hold)
        if event.type == "NumberAllocated":
            self.allocated[event.stream] += 1
        found = _payload(event)
        order = found.get("order_id")
        if not order:
            return
        self.types[order][event.type] += 1
        if event.type == "OrderPlaced" and found["kind"] == "purchase":
            self.orders[event.account_id].add(order)
        if event.type == "NumberPurchased":
            self.bought[order].append(found["number"])


def _payload(event: Recorded) -> dict[str, Any]:
    try:
        found = json.loads(event.payload)
    except ValueError:  # Planned poison.
        return {}
    return found if isinstance(found, dict) else {}

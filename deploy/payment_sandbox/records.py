"""What a handler may do to the book: read objects, and within one transaction write them."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.payment_sandbox.errors import Json, no_such
from deploy.payment_sandbox.forms import Params

# The version of Stripe's API whose shapes these are.
API_VERSION = "2026-10-28.endive"
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
MICROS = 1_000_000
_LAST_SECOND = 3_000_000_000  # ten digits to the base of 36 reach beyond it
PREFIXES = {
    "charge": "ch",
    "customer": "cus",
    "event": "evt",
    "payment_intent": "pi",
    "payment_method": "pm",
    "refund": "re",
    "setup_intent": "seti",
}


def new_id(prefix: str) -> str:
    """An id that grows with time, so that the index of 100,000 of them is written at its end."""
    return str(stamp(prefix)["id"])


def stamp(prefix: str) -> Json:
    """`id` and `created` of a new object; both tell the same second."""
    micros = time.time_ns() // 1000
    identifier = f"{prefix}_{_base36(micros)}{secrets.token_hex(6)}"
    return {"id": identifier, "created": micros // MICROS}


def first_id(prefix: str, second: int) -> str:
    """What sorts right before every id of that second."""
    return f"{prefix}_{_base36(min(second, _LAST_SECOND) * MICROS)}"


def _base36(value: int) -> str:
    text = ""
    while value:
        value, digit = divmod(value, 36)
        text = _BASE36[digit] + text
    return text.rjust(10, "0")


def now() -> int:
    """Machine time in whole seconds since 1970, as Stripe's `created`."""
    return int(time.time())


def dumps(value: object) -> str:
    """Compact JSON."""
    return _ENCODER.encode(value)


@dataclass(frozen=True)
class Delivery:
    """How one event goes out: seconds late, held back for the next one, or badly signed."""

    late: float = 0.0
    held: bool = False
    wrong_signature: bool = False


@dataclass(frozen=True)
class Origin:
    """Where a write comes from: what ends in URLs, in events and in the plan of its webhooks."""

    base_url: str
    idempotency_key: str | None = None
    deliveries: Callable[[str], list[Delivery]] = field(default=lambda _type: [])


class Reader:
    """Objects as they are now."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def find(self, kind: str, identifier: str) -> Json | None:
        """The object, or None."""
        if not identifier.startswith(f"{PREFIXES.get(kind)}_"):
            return None
        row = self.connection.execute(
            "SELECT body FROM resources WHERE id = ?", (identifier,)
        ).fetchone()
        return None if row is None else json.loads(row["body"])

    def get(self, kind: str, identifier: str, param: str | None = None) -> Json:
        """The object; otherwise resource_missing, as 404, or as 400 for a parameter."""
        found = self.find(kind, identifier)
        if found is None:
            raise no_such(kind, identifier, param)
        return found

    def was_detached(self, method: str) -> bool:
        """Whether the card was taken off its customer: such a card may not be used again."""
        row = self.connection.execute(
            "SELECT 1 FROM detached WHERE payment_method = ?", (method,)
        ).fetchone()
        return row is not None

    def page(self, kind: str, params: Params, url: str, **equal: str | None) -> Json:
        """One page, newest first; `limit` 1 to 100 (10), `created`, `starting_after`."""
        limit = min(max(params.whole("limit") or 10, 1), 100)
        wanted = {column: value for column, value in equal.items() if value is not None}
        parts = ["id > ?", "id < ?", *(f"{column} = ?" for column in wanted)]
        order = "ASC" if "ending_before" in params.tree else "DESC"
        # Only constants of this package are put together here; every value is a parameter.
        query = (
            f"SELECT body FROM resources WHERE {' AND '.join(parts)} ORDER BY id {order} LIMIT ?"  # nosec B608
        )
        values = (*self._bounds(kind, params), *wanted.values(), limit + 1)
        rows = self.connection.execute(query, values).fetchall()
        data = [json.loads(row["body"]) for row in rows[:limit]]
        ordered = data if order == "DESC" else data[::-1]
        return {"object": "list", "data": ordered, "has_more": len(rows) > limit, "url": url}

    def _bounds(self, kind: str, params: Params) -> tuple[str, str]:
        """The ids between which the page lies, both excluded."""
        prefix = PREFIXES[kind]
        lowest, highest = [f"{prefix}_"], [f"{prefix}`"]  # "`" is what follows "_"
        after, before = params.text("starting_after"), params.text("ending_before")
        if after:
            highest.append(self.get(kind, after, "starting_after")["id"])
        if before:
            lowest.append(self.get(kind, before, "ending_before")["id"])
        first, end = _created(params)
        lowest += [first_id(prefix, first)] if first is not None else []
        highest += [first_id(prefix, end)] if end is not None else []
        return max(lowest), min(highest)


def _created(params: Params) -> tuple[int | None, int | None]:
    """The first second wanted by `created`, and the first one no longer wanted."""
    if isinstance(params.tree.get("created"), str):
        exact = params.seconds("created") or 0
        return exact, exact + 1
    wanted = params.branch("created")
    above, below = wanted.seconds("gt"), wanted.seconds("lte")
    first = wanted.seconds("gte") if above is None else above + 1
    return first, wanted.seconds("lt") if below is None else below + 1


class Transaction(Reader):
    """The writes of one request; they are committed together, with its Idempotency-Key."""

    def __init__(self, connection: sqlite3.Connection, origin: Origin) -> None:
        super().__init__(connection)
        self.origin = origin

    def save(self, resource: Json, tag: str | None = None) -> Json:
        """Book a new object, or the new state of one."""
        self.connection.execute(
            "INSERT INTO resources (id, customer, tag, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body, customer = excluded.customer",
            (resource["id"], resource.get("customer"), tag, dumps(resource)),
        )
        return resource

    def detach(self, method: str) -> None:
        """Remember that the card may not be used again."""
        self.connection.execute("INSERT OR IGNORE INTO detached VALUES (?)", (method,))

    def book_charge(self, charge: Json) -> None:
        """Write an attempt to take money into the ledger."""
        self.connection.execute(
            "INSERT INTO charges (payment_intent, charge, customer, payment_method, amount_minor,"
            " currency, metadata, status, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                charge["payment_intent"],
                charge["id"],
                charge["customer"],
                charge["payment_method"],
                charge["amount"],
                charge["currency"],
                dumps(charge["metadata"]),
                charge["status"],
                charge["created"],
            ),
        )

    def book_refund(self, refund: Json) -> None:
        """Write money given back into the ledger."""
        self.connection.execute(
            "INSERT INTO refunds (refund, charge, payment_intent, amount_minor, currency, metadata,"
            " status, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                refund["id"],
                refund["charge"],
                refund["payment_intent"],
                refund["amount"],
                refund["currency"],
                dumps(refund["metadata"]),
                refund["status"],
                refund["created"],
            ),
        )

    def emit(self, event_type: str, subject: Json, previous: Json | None = None) -> None:
        """Book an event and the webhooks it is to be sent by."""
        deliveries = self.origin.deliveries(event_type)
        data = {"object": subject} | ({"previous_attributes": previous} if previous else {})
        event: Json = {
            **stamp("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "data": data,
            "livemode": False,
            "pending_webhooks": len(deliveries),
            "request": {"id": new_id("req"), "idempotency_key": self.origin.idempotency_key},
            "type": event_type,
        }
        self.save(event, tag=event_type)
        for delivery in deliveries:
            self._schedule(event["id"], delivery)

    def _schedule(self, event: str, delivery: Delivery) -> None:
        due = time.time() + delivery.late
        if delivery.held:
            due = self._end_of_hold() or due
        self.connection.execute(
            "INSERT INTO deliveries (event, created, due, rank, held, wrong_signature)"
            " SELECT ?, ?, ?, CASE WHEN ? THEN -coalesce(max(serial), 0) ELSE 0 END, ?, ?"
            " FROM deliveries",
            (event, now(), due, delivery.held, delivery.held, delivery.wrong_signature),
        )

    def _end_of_hold(self) -> float | None:
        # What is held back together goes out together, the newest first.
        row = self.connection.execute(
            "SELECT due FROM deliveries WHERE state = 'pending' AND held = 1 AND due > ?"
            " ORDER BY due LIMIT 1",
            (time.time(),),
        ).fetchone()
        return None if row is None else float(row["due"])

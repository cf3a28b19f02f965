"""What cannot be read or handled: calls, events, and a handler that always raises."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime

from kombu import Connection, Exchange

from shared.codec import Meta, encode_meta
from shared.eventlog import Entry, NewEvent
from tests.faults.distributed.audit import POISON
from tests.faults.distributed.judge import parked
from tests.faults.distributed.run import Run
from tests.faults.distributed.supervised import until

_CALLS: tuple[tuple[str, bytes | str], ...] = (
    ("orders.place_order", b"{bad"),
    ("orders.place_order", json.dumps({"args": [], "kwargs": {}})),
    ("inventory.hold_numbers", json.dumps({"args": [{"account_id": 7}], "kwargs": {"x": 1}})),
    ("inventory.hold_numbers", json.dumps([1, 2, 3])),
    ("inventory.hold_numbers", b"\xff\xfe\x00"),
    ("orders.no_such_method", json.dumps({"args": [{}], "kwargs": {}})),
)


def poison(run: Run) -> None:
    """Calls that cannot be read, an event of a type that nobody knows, and one that its handlers
    cannot read with another one behind it."""
    names = ["services"] if run.system.together else ["orders", "inventory"]
    before = {name: run.system.pid(name) for name in names}
    stream = f"hold-poison-{uuid.uuid4().hex[:8]}"
    run.poison.add(stream)
    for route, body in _CALLS:
        _call(run, route, body)
    _append(run, stream, [new_event("HoldAllocated", b"{}"), new_event("HoldAllocated", b"{bad")])
    _append(run, f"faults-{uuid.uuid4().hex}", [new_event("NobodyKnowsThis", b'{"n": 1}')])
    until(lambda: _who(run, stream) >= {"relay", "policy:orders"}, 30, "poison is put aside")
    run.useful(time.monotonic())
    for name, pid in before.items():
        assert run.system.pid(name) == pid, f"{name} did not survive a call that cannot be read"
    run.notes.append(f"put aside: {sorted(_who(run, stream))}; {len(_CALLS)} bad calls survived")


def raising(run: Run) -> None:
    """A policy raises for every event of one customer: his orders wait, all others go on, and
    what waits is handled when a repaired process has come."""
    name = "runners" if run.system.together else "orders-runner"
    victim = run.load.customers[0]
    run.system.halt(name)
    run.system.add(f"{name}-raising", name, f"raising:{victim.account}")
    try:
        until(lambda: bool(parked(run.system)), 60, "something is put aside")
        run.useful(time.monotonic())  # All others.
        time.sleep(3)
        run.notes.append(f"put aside for one customer: {len(parked(run.system))} events")
    finally:
        run.system.remove(f"{name}-raising")
        run.system.resume(name)
    run.since = time.monotonic()


def _who(run: Run, stream: str) -> set[str]:
    return {consumer for consumer, _, found in parked(run.system) if found == stream}


def _call(run: Run, route: str, body: bytes | str) -> None:
    with Connection(run.system.servers.broker) as connection:
        producer = connection.Producer()
        producer.publish(
            body,
            exchange=Exchange("nameko-rpc", type="topic", durable=True),
            routing_key=route,
            content_type="application/json",
            content_encoding="utf-8",
            reply_to=f"nobody-{uuid.uuid4()}",
            correlation_id=uuid.uuid4().hex,
        )


def _append(run: Run, stream: str, events: list[NewEvent]) -> None:
    log = run.system.product.events()
    try:
        log.append_batch([Entry(stream, stream.split("-", maxsplit=1)[0], 0, tuple(events))])
    finally:
        log.close()


def new_event(kind: str, payload: bytes) -> NewEvent:
    """An event that no service would write."""
    meta = Meta(
        command_id=uuid.uuid4(),
        correlation_id="faults",
        actor="system",
        occurred_at=datetime.now(UTC),
    )
    return NewEvent(uuid.uuid4().bytes, POISON, kind, 1, payload, encode_meta(meta))

"""A read model is built anew while customers buy, as after an update that shows something else."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPException

from tests.faults.distributed.run import Run
from tests.faults.distributed.supervised import until

_LEAST = 120  # Acknowledged commands before: else there is no middle.


def rebuilt(run: Run) -> None:
    """Runners whose read models have another version fill them; then those of the usual version do
    so again, are killed in the middle, and go on. Who looks sees a part meanwhile. No effect may be
    carried out again, and the end, filled by those that were killed, has to be what the ledger
    says."""
    until(lambda: run.load.ledger.count >= _LEAST, 120, "customers have bought")
    names, begun = _runners(run), head_of(run)
    with _looking(run) as seen:
        for name in names:
            run.system.halt(name)
            run.system.add(f"{name}-new", name, "renewed")
        until(lambda: _caught_up(run), 90, "the new read models have caught up")
        for name in names:
            run.system.remove(f"{name}-new")
            _die_in_the_middle(run, name, names[name], (begun + head_of(run)) // 2)
        until(lambda: _caught_up(run), 90, "the usual read models have caught up")
    for name in names:
        run.system.remove(f"{name}-again")
        run.system.resume(name)
    run.since = time.monotonic()
    refused = Counter(line.answer.get("code") for line in run.load.ledger.lines())
    run.notes.append(f"looks at a list meanwhile: {dict(seen)}")
    run.notes.append(f"commands refused: { {code: n for code, n in refused.items() if code} }")
    _allow(run, "PATCH numbers: 404 number_unknown")


def _allow(run: Run, words: str) -> None:
    """Until the gateway has heard that a read model has begun anew, it believes it filled."""
    found = sum(customer.notes.odd.pop(words, 0) for customer in run.load.everybody())
    if found:
        run.notes.append(f"{words} ({found} times)")


def _die_in_the_middle(run: Run, name: str, consumer: str, position: int) -> None:
    again = f"{name}-again"
    mark = run.system.points / f"{again}.died"
    mark.unlink(missing_ok=True)
    run.system.add(again, name, f"slowly:{consumer}@{position}")
    until(mark.exists, 60, f"{again} dies")
    run.notes.append(f"{again} died with {mark.read_text()} of {head_of(run)} events")
    run.kills += 1
    run.system.back(again, 0)


def head_of(run: Run) -> int:
    """The last position of the log."""
    with contextlib.closing(run.system.connection()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT position FROM log.head")
        ((head,),) = cursor.fetchall()
        return int(head)


def _caught_up(run: Run) -> bool:
    with contextlib.suppress(OSError, HTTPException, KeyError, TypeError):
        ready = run.load.probe.client.get("/readyz").body
        mine = [
            c for name, c in ready["consumers"].items() if name in {"orders", "numbers", "stock"}
        ]
        return len(mine) == 3 and all(one["lag"] < 100 and not one["failure"] for one in mine)
    return False


@contextlib.contextmanager
def _looking(run: Run) -> Iterator[Counter[str]]:
    """Somebody who owns a number looks at his list again and again."""
    client, seen, ended = run.load.customers[0].client, Counter[str](), threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            with contextlib.suppress(OSError, HTTPException):
                answer = client.ask("GET", "/v1/numbers?limit=1", timeout=10)
                marked = " and marked as behind" if "Read-Model-Behind" in answer.headers else ""
                shown = "filled" if answer.status == 200 and answer.body["data"] else "empty"
                seen[f"{shown}{marked}" if answer.status == 200 else str(answer.status)] += 1

    thread = threading.Thread(target=look, name="looking", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(20)


def _runners(run: Run) -> dict[str, str]:
    """Each with the consumer at whose step it dies."""
    if run.system.together:
        return {"runners": "numbers"}
    return {"orders-runner": "numbers", "inventory-runner": "stock"}

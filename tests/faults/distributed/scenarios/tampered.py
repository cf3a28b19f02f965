"""A superuser of the database changes what is for ever, and everything is put back afterwards."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg2

from shared.eventlog import NewEvent, Recorded, digest
from tests.faults.distributed.judge import quiet
from tests.faults.distributed.run import Run
from tests.faults.distributed.scenarios.data import address
from tests.faults.distributed.supervised import until
from tests.support.product import ROOT

_LEAST = 40  # Acknowledged commands before anything is changed.
_COLUMNS = ", ".join(Recorded._fields)
Found = list[tuple[int, str]]


def tampered(run: Run) -> None:
    """An event is edited, rewritten with its digest, exchanged for another one; the last ones are
    taken out, with and without the head. What ``pbxim audit verify`` and the readers say of it."""
    until(lambda: run.load.ledger.count >= _LEAST, 120, "customers have bought")
    run.load.stop()
    until(lambda: quiet(run.load), 60, "everything has come to rest")
    assert _verified(run) == []
    _edited(run)
    _exchanged(run)
    _cut_off(run)
    _taken_out(run)
    assert _verified(run) == [], "put back, it is as it was"
    run.since = time.monotonic()


def _edited(run: Run) -> None:
    event = _event(run, _head(run) // 2)
    other = event._replace(payload=event.payload.replace(b'"', b'" ', 1))
    with _written(run, other, instead_of=event):
        _assert_found(run, {(event.position, event.stream)}, "edited payload")
    with _written(run, _with_digest(other), instead_of=event):
        assert _verified(run) == [], "nothing says so, seals would"
        run.notes.append("edited together with its digest: not noticed")


def _exchanged(run: Run) -> None:
    event = _event(run, max(_places(run).values()))
    with _written(run, _with_digest(event._replace(event_id=bytes(16))), instead_of=event):
        _assert_found(run, _knowing(run, event.position), "another event with a digest that fits")


def _cut_off(run: Run) -> None:
    place, head = max(_places(run).values()), _head(run)
    events = [_event(run, n) for n in range(place, head + 1)]
    _as_superuser(run, "DELETE FROM log.event WHERE position >= %s", place)
    _assert_found(run, {(place, "log")} | _knowing(run, place), "last events taken out")
    _as_superuser(run, "UPDATE log.head SET position = %s", place - 1)
    _assert_found(run, _knowing(run, place), "and the head put back")
    _as_superuser(run, "UPDATE log.head SET position = %s", head)
    for event in events:
        _insert(run, event)


def _taken_out(run: Run) -> None:
    event = _event(run, _head(run))
    _as_superuser(run, "DELETE FROM log.event WHERE position = %s", event.position)
    assert run.load.probe.quote() is not None
    run.system.restart("runners")  # Those that run have seen it.
    until(lambda: any(" comes " in why for why in _failures(run)), 60, "readers stop at the hole")
    missed = {position for position, _ in _verified(run)}
    assert event.position + 1 in missed, missed
    run.notes.append(f"last event taken out, then bought: {len(_failures(run))} readers stop there")
    _insert(run, event)
    for name in ("runners", "relay"):
        run.system.restart(name)


def _assert_found(run: Run, wanted: set[tuple[int, str]], what: str) -> None:
    found = set(_verified(run))
    assert found >= wanted, f"{what}: {found}, not {wanted}"
    assert {position for position, _ in found} == {position for position, _ in wanted}, found
    run.notes.append(f"{what}: noticed at its position by {sorted(who for _, who in wanted)[:3]}")


def _verified(run: Run) -> Found:
    """Where ``pbxim audit verify`` finds something, and in what."""
    program = Path(sys.executable).with_name("pbxim")
    command = f"set -a; . '{run.system.up}/environment'; '{program}' audit verify --json"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == bool(found), done
    return [(one["position"], one["where"]) for one in found]


def _failures(run: Run) -> list[str]:
    with contextlib.suppress(OSError, HTTPException, KeyError, TypeError):
        consumers = run.load.probe.client.get("/readyz").body["consumers"]
        return [str(one["failure"]) for one in consumers.values() if one["failure"]]
    return []


def _places(run: Run) -> dict[str, int]:
    """Where the consumers of customers' events have written down that they are."""
    found: dict[str, int] = {}
    for schema in ("views_orders", "views_inventory", "state_relay"):
        rows = _asked(run, f"SELECT consumer, position FROM {schema}.checkpoint")  # nosec B608
        found |= dict(rows)
    return found


def _knowing(run: Run, position: int) -> set[tuple[int, str]]:
    return {(place, name) for name, place in _places(run).items() if place == position}


def _head(run: Run) -> int:
    return int(_asked(run, "SELECT position FROM log.head")[0][0])


def _event(run: Run, position: int) -> Recorded:
    query = f"SELECT {_COLUMNS} FROM log.event WHERE position = %s"  # nosec B608
    (row,) = _asked(run, query, position)
    return Recorded._make(bytes(one) if isinstance(one, memoryview) else one for one in row)


def _with_digest(event: Recorded) -> Recorded:
    content = NewEvent(*(getattr(event, name) for name in NewEvent._fields))
    return event._replace(digest=digest(event.stream, event.version, event.category, content))


@contextlib.contextmanager
def _written(run: Run, event: Recorded, *, instead_of: Recorded) -> Iterator[None]:
    _write(run, event)
    try:
        yield
    finally:
        _write(run, instead_of)


def _write(run: Run, event: Recorded) -> None:
    places = ", ".join(f"{name} = %s" for name in Recorded._fields)
    _as_superuser(
        run,
        f"UPDATE log.event SET {places} WHERE position = {event.position}",  # nosec B608
        *event,
    )


def _insert(run: Run, event: Recorded) -> None:
    marks = ", ".join("%s" for _ in event)
    _as_superuser(run, f"INSERT INTO log.event ({_COLUMNS}) VALUES ({marks})", *event)  # nosec B608


def _as_superuser(run: Run, statement: str, *words: object) -> None:
    with contextlib.closing(psycopg2.connect(address(run))) as connection:
        cursor = connection.cursor()
        cursor.execute("SET session_replication_role = replica")  # No trigger says no.
        cursor.execute(statement, words)
        assert cursor.rowcount > 0, statement
        connection.commit()


def _asked(run: Run, query: str, *words: object) -> list[tuple[Any, ...]]:
    with contextlib.closing(run.system.connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(query, words)
        return cursor.fetchall()

"""The disk of the database is full."""

from __future__ import annotations

import time

from tests.faults.distributed.disk import DatabaseDisk
from tests.faults.distributed.run import Run

_ROOMS = (0, 300_000, 2_000_000)


def full_disk(run: Run) -> None:
    """Nothing can be written for a while, once with no room at all, then with a little more, so
    that it ends at another place."""
    assert run.disk is not None
    for room in _ROOMS[:1] if run.short else _ROOMS:
        _fill(run, run.disk, room)
        time.sleep(5 if run.short else 12)
        run.disk.make_room()
        since = time.monotonic()
        run.useful(since)
        time.sleep(2)
    told = sum((c.notes.told for c in run.load.everybody()), run.load.probe.notes.told)
    run.notes.append(f"customers were told: {dict(told.most_common(4))}")


def _fill(run: Run, disk: DatabaseDisk, room: int) -> None:
    disk.fill(but=room)
    run.notes.append(f"full but for {room} bytes")

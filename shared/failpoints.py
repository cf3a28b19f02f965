"""Named places where a test may kill the process, to show that nothing is lost or doubled there.

Off in production: an unarmed ``reach`` is one comparison. Armed by ``PBXIM_FAILPOINT``:
``record:FILE`` writes every place reached, ``kill:N`` ends the process with SIGKILL at the N-th,
``kill:N@PLACE`` at the N-th time that it reaches this place.
``orders:FOLDER`` looks at each place for an order in the file of this process in that folder (see
``order``): it may be given while the process runs, and holds for one death only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

_lock = threading.Lock()
_record: Path | None = None
_kill_at = 0
_kill_place = ""  # Any.
_count = 0
_orders: Path | None = None
_process = ""
_given: tuple[str, int] | None = None
_armed = False
_REACHED = "reached"


def arm(spec: str | None, process: str = "") -> None:
    """Sets what happens at the places from now on; ``None`` sets them all harmless again."""
    global _record, _kill_at, _kill_place, _count, _orders, _process, _given, _armed  # noqa: PLW0603  # One process, one switch.
    _record, _kill_at, _count, _orders, _process, _given = None, 0, 0, None, process, None
    _kill_place = ""
    kind, _, rest = (spec or "").partition(":")
    if kind == "record":
        _record = Path(rest)
    elif kind == "kill":
        at, _, _kill_place = rest.partition("@")
        _kill_at = int(at)
    elif kind == "orders":
        _orders = Path(rest)
    _armed = bool(_record or _kill_at or _orders)


def reach(place: str) -> None:
    """Says that the process is at this place now."""
    if _armed:
        _reached(place)


def order(folder: Path, process: str, place: str, times: int = 1) -> None:
    """Tells a process, armed with ``orders:FOLDER``, to die when it reaches a place for so many
    times from now on. An order that was given before and not carried out is forgotten."""
    unfinished = folder / f"{process}.new"
    unfinished.write_text(f"{place} {times}")
    unfinished.replace(folder / f"{process}.order")


def withdraw(folder: Path, process: str) -> None:
    """Takes an order back that was not carried out."""
    (folder / f"{process}.order").unlink(missing_ok=True)


def carried_out(folder: Path) -> list[tuple[str, str]]:
    """The deaths so far: process and place."""
    with contextlib.suppress(FileNotFoundError):
        lines = (folder / _REACHED).read_text().splitlines()
        return [(process, place) for process, place in (line.split() for line in lines)]
    return []


def _reached(place: str) -> None:
    global _count  # noqa: PLW0603  # See arm.
    with _lock:
        _count += _kill_place in ("", place)
        if _record is not None:
            with _record.open("a") as file:
                file.write(f"{_count} {place}\n")
        if _count == _kill_at and _kill_place in ("", place):
            os.kill(os.getpid(), signal.SIGKILL)
        if _orders is not None:
            _look(_orders, place)


def _look(folder: Path, place: str) -> None:
    global _given  # noqa: PLW0603  # See arm.
    file = folder / f"{_process}.order"
    try:
        wanted, times = file.read_text().split()
    except (FileNotFoundError, ValueError):
        _given = None
        return
    if wanted != place:
        return
    if _given is None or _given[0] != wanted:
        _given = (wanted, int(times))
    _given = (wanted, _given[1] - 1)
    if _given[1] <= 0:
        file.unlink(missing_ok=True)  # Whoever comes after us shall live.
        with (folder / _REACHED).open("a") as reached:
            reached.write(f"{_process} {place}\n")
        os.kill(os.getpid(), signal.SIGKILL)

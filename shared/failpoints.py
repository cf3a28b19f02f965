"""Named places where a test may kill the process, to show that nothing is lost or doubled there.

Off in production: an unarmed ``reach`` is one comparison. Armed by ``PBXIM_FAILPOINT``:
``record:FILE`` writes every place reached, ``kill:N`` ends the process with SIGKILL at the N-th.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

_lock = threading.Lock()
_record: Path | None = None
_kill_at = 0
_count = 0


def arm(spec: str | None) -> None:
    """Sets what happens at the places from now on; ``None`` sets them all harmless again."""
    global _record, _kill_at, _count  # noqa: PLW0603  # One process, one switch.
    _record, _kill_at, _count = None, 0, 0
    kind, _, rest = (spec or "").partition(":")
    if kind == "record":
        _record = Path(rest)
    elif kind == "kill":
        _kill_at = int(rest)


def reach(place: str) -> None:
    """Says that the process is at this place now."""
    if _record is None and not _kill_at:
        return
    _reached(place)


def _reached(place: str) -> None:
    global _count  # noqa: PLW0603  # See arm.
    with _lock:
        _count += 1
        if _record is not None:
            with _record.open("a") as file:
                file.write(f"{_count} {place}\n")
        if _count == _kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

"""One of many: a lock that only one process has, and that its death lets go of.

Fenced checkpoints make it harmless that a database may take a lock for lost whose owner lives.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

from shared.config import Settings


class Lock(Protocol):
    """Held by one process at most."""

    def acquire(self) -> bool:
        """Takes it if nobody has it; says whether it is ours now. Never waits for another holder.
        Raises ``Unavailable`` where whoever keeps the lock is away."""

    def held(self) -> bool:
        """Whether it is still ours."""

    def release(self) -> None:
        """Lets go of it."""


def make_lock(settings: Settings, *names: str) -> Lock:
    """The lock with these names: in the stores' database, for every machine that uses it; without
    one, on files in the data folder, so for one machine."""
    if settings.database is not None:
        from deploy.advisory import AdvisoryLock

        return AdvisoryLock(settings.database, names)
    return FileLock(settings.data / f"{'-'.join(names)}.lock")


class FileLock:
    """A lock on a file of this machine. The system lets go of it when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """See ``Lock.acquire``."""
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def held(self) -> bool:
        """See ``Lock.held``."""
        return self._handle is not None

    def release(self) -> None:
        """See ``Lock.release``."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

"""One of many: a lock that only one process has, and that its death lets go of."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol


class Lock(Protocol):
    """Held by one process at most. Another backend's (an advisory lock of a database session) has
    the same two methods, and may lose the lock with its session: fenced checkpoints are for that.
    """

    def acquire(self) -> bool:
        """Takes it if nobody has it; says whether it is ours now. Never waits."""

    def release(self) -> None:
        """Lets go of it."""


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

    def release(self) -> None:
        """See ``Lock.release``."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

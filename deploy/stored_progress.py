"""How far the read models are, for a process that does not fill them: as their checkpoints say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from shared.consumers import checkpoints
from shared.consumers.checkpoints import CHECKPOINTS
from shared.runtime import Progress
from shared.stores import Store

_LOOK_SECONDS = 0.01


class StoredProgress(Progress):
    """A ``Progress`` that looks into the views again and again while somebody waits."""

    def __init__(self, views: Store) -> None:
        super().__init__()
        self._views = views
        views.create(CHECKPOINTS)

    def position(self, names: Iterable[str]) -> int:
        """See ``Progress.position``."""
        with self._views.read() as connection:
            found = [checkpoints.load(connection, name) for name in names]
        return min((place.position if place else 0 for place in found), default=0)

    def wait_for(self, names: Iterable[str], position: int, seconds: float = 2.0) -> bool:
        """See ``Progress.wait_for``. Who wants nothing in particular is not made to look."""
        wanted = tuple(names)
        return position <= 0 or _until(lambda: self.position(wanted) >= position, seconds)

    def wait_on(self, stream: str, holds: Callable[[], bool], seconds: float) -> bool:  # noqa: ARG002
        """See ``Progress.wait_on``."""
        return _until(holds, seconds)


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True

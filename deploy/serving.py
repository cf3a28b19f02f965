"""What services stand on that only answer calls: their consumers run in other processes."""

from __future__ import annotations

from dataclasses import replace

from deploy.ground import Ground, all_specs
from deploy.progress import HeardProgress
from deploy.stored_progress import StoredProgress
from shared.clock import MachineClock
from shared.config import Settings
from shared.platform import PLATFORM
from shared.runtime import Progress, Runtime


class Serving:
    """The ground of a process that answers. How far the read models are it hears from the runners,
    where the stores are in PostgreSQL; in files it sees their checkpoints.

    Raises what ``Ground`` raises.
    """

    def __init__(self, settings: Settings) -> None:
        heard = HeardProgress() if settings.database else None
        self.ground = Ground(settings, all_specs(), MachineClock(), heard or Progress())
        if heard is not None:
            heard.listen(settings.database or "", self.ground.clock)
        self.progress = heard

    def runtime(self, service: str) -> Runtime:
        """The surroundings of one service."""
        found = self.ground.runtime(service)
        if self.progress is None:
            return replace(found, progress=StoredProgress(found.views))
        self.progress.follow(service)
        return found

    def learn_time(self) -> None:
        """A test clock that was put forward is an event; without runners nobody tells us."""
        if self.progress is None and self.ground.settings.sandbox:
            state = self.ground.application.load(PLATFORM, "installation")
            self.ground.clock.learn(state.offset)

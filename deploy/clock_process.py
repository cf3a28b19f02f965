"""The test clock where consumers run in other processes: their rest is heard and seen, not stepped.

What is due is read from the services' timer views, effects under way from their state; how far the
consumers are, their runners say (progress.py). One such process at a time, sandbox only.
"""

from __future__ import annotations

import threading
import time

from deploy.clock_service import ClockService
from deploy.ground import all_specs
from deploy.progress import HeardProgress
from deploy.serving import Serving
from shared import logging
from shared.advancing import Advancing
from shared.consumers.effect_rows import EFFECTS, work_is_waiting
from shared.consumers.feed import Feed
from shared.consumers.projections import ProjectionConsumer
from shared.consumers.timers import Scheduler, timer_projection
from shared.errors import Unavailable
from shared.refusals import refusal
from shared.spec import ServiceSpec

_log = logging.logger("clock")
_IDLE_SECONDS = 0.2
_AGAIN_SECONDS = 1.0


class OtherProcesses:
    """A ``Watched`` over the runners of all services."""

    runs_on = True

    def __init__(self, serving: Serving, heard: HeardProgress) -> None:
        self._ground = serving.ground
        self._heard = heard
        self._specs = all_specs()
        made = (self._scheduler(spec, serving) for spec in self._specs)
        self.schedulers = [one for one in made if one is not None]
        runtimes = [serving.runtime(spec.name) for spec in self._specs]
        self._states = [
            runtime.state
            for spec, runtime in zip(self._specs, runtimes, strict=True)
            if spec.effects(runtime)
        ]
        for state in self._states:
            state.create(EFFECTS)

    def standing(self) -> list[str]:
        """See ``Watched.standing``."""
        return sorted(self._heard.failures())

    def has_work(self) -> bool:
        """See ``Watched.has_work``. A runner that is not heard may have some."""
        now = self._ground.machine.now()
        if any(work_is_waiting(state, now) for state in self._states):
            return True
        head = self._ground.log.head()
        positions = self._heard.positions().values()
        silent = self._heard.silent(spec.name for spec in self._specs)
        return bool(silent) or any(position < head for position in positions)

    def _scheduler(self, spec: ServiceSpec, serving: Serving) -> Scheduler | None:
        if spec.timers is None:
            return None
        runtime = serving.runtime(spec.name)
        projection, table = timer_projection(spec.name, spec.timers)
        runtime.views.create(projection.tables)
        feed = Feed(self._ground.log, self._ground.application.codec)
        view = ProjectionConsumer(projection, feed, runtime.views)
        return Scheduler(spec.name, spec.timers, table, view, runtime)


class ClockProcess:
    """The service, and the loop that puts the clock forward."""

    def __init__(self, serving: Serving) -> None:
        if not serving.ground.settings.sandbox or serving.progress is None:
            detail = "The test clock needs PBXIM_MODE=sandbox and PBXIM_DATABASE."
            raise refusal("setting_invalid", detail, param="PBXIM_MODE")
        runtime = serving.runtime(ClockService.name)
        self._advancing = Advancing(runtime, OtherProcesses(serving, serving.progress))
        self._asked = threading.Event()
        self.service = ClockService(runtime, self._advancing, self._asked.set)

    def run(self) -> None:
        """Steps for ever."""
        while True:
            self._asked.wait(min(_IDLE_SECONDS, self._advancing.idle_seconds()))
            self._asked.clear()
            try:
                while self._advancing.step():
                    time.sleep(0)  # Calls are answered meanwhile.
            except Unavailable as error:
                _log.warning("waiting", code=error.code, detail=error.detail)
                time.sleep(_AGAIN_SECONDS)

"""The threads that carry out effects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shared import logging
from shared.consumers.effects import EffectWorker

_log = logging.logger("effect")


class WorkerPool:
    """Threads that carry out effects. They sleep until rung, or a second at the most."""

    def __init__(self, make_worker: Callable[[], EffectWorker], size: int = 8) -> None:
        self._bell = threading.Condition()
        self._rung = 0
        self._stopping = False
        self._threads = [
            threading.Thread(
                target=self._run, args=(make_worker(),), name=f"effect-{n}", daemon=True
            )
            for n in range(size)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def ring(self, rows: int) -> None:
        """There is work for so many threads; the others sleep on."""
        with self._bell:
            self._rung += 1
            self._bell.notify(rows)

    def stop(self, seconds: float) -> None:
        """Lets running calls end for a while; what is still running is taken up after restart."""
        with self._bell:
            self._stopping = True
            self._bell.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self, worker: EffectWorker) -> None:
        while not self._stopping:
            seen = self._rung
            if self._worked(worker):
                continue
            with self._bell:
                if seen == self._rung and not self._stopping:
                    self._bell.wait(1.0)
        worker.rest()

    def _worked(self, worker: EffectWorker) -> bool:
        try:
            return worker.step()
        except Exception:  # noqa: BLE001  # Whatever it is, it must not end the loop.
            _log.exception("effect_worker_failed")
            time.sleep(1.0)  # The store is full or locked: come back when it may have passed.
            return True

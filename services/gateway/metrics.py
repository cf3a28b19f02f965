"""What the gateway counts and shows at ``/metrics``. Names: ``docs/how-to/watch-it.md``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import Counter, Metric

from shared import metrics

_ROUTE = ("method", "route")


class Metrics:
    """What was asked of this process, how it was answered, and how long that took; and what
    whoever built the process lets it collect (``also``)."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._requests = Counter(
            "pbxim_http_requests", "Answered requests.", [*_ROUTE, "status"], registry=None
        )
        self._seconds = Counter(
            "pbxim_http_request_seconds", "Time until their answers.", _ROUTE, registry=None
        )
        self._process = metrics.Process()
        self._others: list[Callable[[], Iterable[Metric]]] = []

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Takes one answered request in. ``route`` is the template, so that series stay few."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).inc(seconds)

    def also(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Shows these as well. They may raise ``Unavailable``: then they are left out."""
        self._others.append(collect)

    def text(self, status: Mapping[str, Any]) -> bytes:
        """All series, in Prometheus' text format."""
        uptime = time.monotonic() - self._started
        counted = [self._requests.collect(), self._seconds.collect(), self._process.collect()]
        others = [metrics.tried(collect) for collect in self._others]
        return metrics.text(metrics.of_status(status, uptime), *counted, *others)

"""Counters of this process, in Prometheus' text format."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Metrics:
    """What was asked of this process, how it was answered, and how long that took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: Counter[tuple[str, str]] = Counter()

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Takes one answered request in. ``route`` is the template, so that series stay few."""
        with self._lock:
            self._requests[(method, route, status)] += 1
            self._seconds[(method, route)] += seconds  # type: ignore[assignment]  # A sum.

    def text(self, head: int, consumers: Mapping[str, Mapping[str, Any]]) -> str:
        """All series, one per line."""
        with self._lock:
            requests, seconds = dict(self._requests), dict(self._seconds)
        lines = [
            *_series("pbxim_uptime_seconds", "gauge", [("", time.monotonic() - self._started)]),
            *_series("pbxim_http_requests_total", "counter", _requests(requests)),
            *_series("pbxim_http_request_seconds_total", "counter", _seconds(seconds)),
            *_series("pbxim_log_head", "gauge", [("", head)]),
            *_series("pbxim_consumer_lag", "gauge", _lags(head, consumers)),
        ]
        return "\n".join(lines) + "\n"


def _series(name: str, kind: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for labels, number in samples:
        yield f"{name}{labels} {number:.15g}"


def _requests(counted: Mapping[tuple[str, str, int], int]) -> Iterator[tuple[str, float]]:
    for (method, route, status), number in sorted(counted.items()):
        yield f'{{method="{method}",route="{route}",status="{status}"}}', number


def _seconds(counted: Mapping[tuple[str, str], float]) -> Iterator[tuple[str, float]]:
    for (method, route), number in sorted(counted.items()):
        yield f'{{method="{method}",route="{route}"}}', number


def _lags(head: int, consumers: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    for name, found in sorted(consumers.items()):
        yield f'{{consumer="{name}"}}', max(0, head - int(found.get("position", 0)))

"""Metrics, by Prometheus' names and in its text format: what every process has in common.

Names begin with ``pbxim_``; counters end in ``_total``, durations are in seconds. Labels are taken
from short lists (consumers, methods, route templates), never from what customers type. The list:
``docs/how-to/watch-it.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

from shared import logging

_log = logging.logger("metrics")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BY_CONSUMER = ("consumer",)
# Another series for each one, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Given:
    """A collector of metrics that were collected already."""

    def __init__(self, families: Iterable[Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """All of them. Those that two parties tell of are told once."""
        told: set[str] = set()
        for families in self._families:
            for family in families:
                if family.name not in told:
                    told.add(family.name)
                    yield family


class Process:
    """Memory, processor time and open files of this process, under Prometheus' own names."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)

    def collect(self) -> Iterable[Metric]:
        """What ``/proc`` says; nothing where there is none."""
        return self._collector.collect()


def text(*families: Iterable[Metric]) -> bytes:
    """Metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Given(families))
    return generate_latest(registry)


def tried(collect: Callable[[], Iterable[Metric]]) -> list[Metric]:
    """What is collected; nothing where that fails: the other metrics are still worth having."""
    try:
        return list(collect())
    except Exception as error:  # noqa: BLE001  # A question may not end anything.
        _log.warning("metrics_not_collected", error=type(error).__name__)
        return []


def gauge(name: str, says: str, number: float) -> Metric:
    """A metric with a single value."""
    return GaugeMetricFamily(name, says, value=number)


def of_status(status: Mapping[str, Any], uptime: float) -> Iterator[Metric]:
    """What a process's status (``Assembly.status``) says, as metrics. ``uptime`` is in seconds."""
    yield gauge("pbxim_uptime_seconds", "Since the start of the process.", uptime)
    yield gauge("pbxim_ready", "1 if the process can do its work.", status.get("ready", True))
    if "head" in status:
        yield gauge("pbxim_log_head", "The position of the last event.", status["head"])
    consumers: Mapping[str, Mapping[str, Any]] = status.get("consumers", {})
    if consumers:
        yield from _of_consumers(consumers, status.get("head"))


def _of_consumers(consumers: Mapping[str, Mapping[str, Any]], head: int | None) -> Iterator[Metric]:
    lag = _by_consumer("pbxim_consumer_lag", "Events the consumer has not seen yet.")
    position = _by_consumer("pbxim_consumer_position", "The last event the consumer has seen.")
    stands = _by_consumer("pbxim_consumer_failed", "1 if the consumer stands still.")
    for name, found in sorted(consumers.items()):
        at = int(found.get("position") or 0)
        behind = found.get("lag", 0) if head is None else head - at
        lag.add_metric([name], max(0, behind))
        position.add_metric([name], at)
        stands.add_metric([name], 1 if found.get("failure") else 0)
    yield from (lag, position, stands)


def _by_consumer(name: str, says: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, says, labels=_BY_CONSUMER)

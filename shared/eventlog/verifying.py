"""Looks through a whole log for what no writer of ours would have written.

It notices an event whose content does not fit its digest, a position or a version that is missing
or there twice, and a head that is further than the last event. It does not notice an event that was
changed together with its digest, nor a log that was cut off at its end together with its head:
whoever may write everything can make everything fit. Copies elsewhere would tell, and consumers
that have seen the event (``checkpoints.verify``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.eventlog import EventLog, NewEvent, Recorded, digest

_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Finding:
    """What does not fit. ``where`` is a stream, or who looks at that position."""

    position: int
    where: str
    problem: str


def findings(log: EventLog) -> Iterator[Finding]:
    """Reads the log from its beginning to the head that it has now."""
    head, last = log.head(), 0
    versions: dict[str, int] = {}
    while last < head and (batch := log.read_all(last, _AT_ONCE)):
        for event in batch:
            yield from _of_event(event, last, versions, contiguous=log.contiguous)
            last, versions[event.stream] = event.position, event.version
    if last < head:
        yield Finding(last + 1, "log", f"the head is {head}, the last event is {last}")


def _of_event(
    event: Recorded, last: int, versions: dict[str, int], *, contiguous: bool
) -> Iterator[Finding]:
    if event.position != last + 1 and (contiguous or event.position <= last):
        yield Finding(event.position, event.stream, f"the position before is {last}")
    before = versions.get(event.stream, 0)
    if event.version != before + 1:
        problem = f"version {event.version} follows {before}"
        yield Finding(event.position, event.stream, problem)
    if digest(event.stream, event.version, event.category, _written(event)) != event.digest:
        yield Finding(event.position, event.stream, "the content does not fit its digest")


def _written(event: Recorded) -> NewEvent:
    return NewEvent(*(getattr(event, name) for name in NewEvent._fields))

"""What a server that speaks KurrentDB's protocol has written, in memory and in a file.

Every append is a line of the file before it is answered, so a server that is killed and started
again has all that it acknowledged.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_OWN_EVERY = 7  # So many events, and the server writes one itself.


@dataclass
class Event:
    """An event on its way, and what the book adds."""

    id: str
    type: str
    content_type: str
    data: bytes
    metadata: bytes
    stream: str = ""
    revision: int = 0
    position: int = 0
    created: int = 0


class WrongVersionError(Exception):
    """The stream's last revision is another (-1: there is no stream)."""

    def __init__(self, last: int) -> None:
        super().__init__(last)
        self.last = last


class Book:
    """Everything that was written, in memory and in a file."""

    def __init__(self, path: Path) -> None:
        self.changed = threading.Condition()
        self.all: list[Event] = []
        self.places: list[int] = []
        self._end = 4711
        self._streams: dict[str, list[Event]] = {}
        self._deleted: dict[str, int] = {}
        whole = path.read_bytes() if path.exists() else b""
        whole = whole[: whole.rfind(b"\n") + 1]  # The last line may have been cut by a kill.
        for line in whole.splitlines():
            self._take(json.loads(line))
        self._file = path.open("wb")
        self._file.write(whole)
        self._file.flush()

    def visible(self, stream: str) -> list[Event]:
        return self._streams.get(stream, [])[self._deleted.get(stream, 0) :]

    def append(self, stream: str, expected: int, events: list[Event]) -> Event:
        """Raises ``WrongVersionError``; -1 expects no stream."""
        with self.changed:
            there = self._streams.get(stream, [])
            last = len(there) - 1
            again = there[expected + 1 : expected + 1 + len(events)]
            if expected < last and [e.id for e in again] == [e.id for e in events]:
                return again[-1]
            if expected != last and (expected >= 0 or self.visible(stream)):
                raise WrongVersionError(last if self.visible(stream) else -1)
            self._write(stream, events)
            if len(self.all) % _OWN_EVERY == 0:
                own = Event(str(uuid.uuid4()), "$statsCollected", "application/json", b"{}", b"")
                self._write("$stats-127.0.0.1:2113", [own])
            self.changed.notify_all()
            return events[-1]

    def delete(self, stream: str) -> None:
        """The stream reads as if it was not there, and goes on counting."""
        with self.changed:
            self._note({"deleted": stream})

    def _write(self, stream: str, events: list[Event]) -> None:
        now = time.time_ns() // 100
        for event in events:
            event.stream, event.created = stream, now
        self._note({"events": [_in_text(event) for event in events]}, events)

    def _note(self, line: dict[str, Any], events: Iterable[Event] = ()) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        self._take(line, events)

    def _take(self, line: dict[str, Any], events: Iterable[Event] = ()) -> None:
        if "deleted" in line:
            self._deleted[line["deleted"]] = len(self._streams.get(line["deleted"], []))
            return
        for event in events or map(_from_text, line["events"]):
            stream = self._streams.setdefault(event.stream, [])
            event.revision, event.position = len(stream), self._end
            self._end += 100 + len(event.data) + len(event.metadata)
            stream.append(event)
            self.all.append(event)
            self.places.append(event.position)


def _in_text(event: Event) -> dict[str, Any]:
    text = asdict(event)
    return text | {k: base64.b64encode(text[k]).decode() for k in ("data", "metadata")}


def _from_text(text: dict[str, Any]) -> Event:
    return Event(**text | {k: base64.b64decode(text[k]) for k in ("data", "metadata")})

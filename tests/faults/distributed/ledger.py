"""What was acknowledged: one line per command, on the disk before its client goes on."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Line:
    """One command and its answer. ``kind`` is quote, extend, release, order or describe; a command
    that was refused for good is in it, too (``status`` over 299)."""

    account: str
    kind: str
    key: str
    body: str
    status: int
    answer: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """A file that only grows. Safe for many threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)
        self.count = 0

    def write(self, line: Line) -> None:
        """Returns when the line is on the disk."""
        raw = json.dumps(asdict(line)).encode() + b"\n"
        with self._lock:
            self._file.write(raw)
            os.fsync(self._file.fileno())
            self.count += line.status < 300  # HTTP.

    def lines(self) -> Iterator[Line]:
        """All lines, read from the file."""
        for text in self.path.read_text().splitlines():
            yield Line(**json.loads(text))

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()


def digest(body: Any) -> str:
    """What a command's body is recognised by."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]

"""Processes that tests start: what they print goes into a file, and every wait for them ends.

A pipe would hold a process up that nobody reads from, and a reader whose process has left a child.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENCE_SECONDS = 30.0


@dataclass
class Output:
    """What a process prints, line by line."""

    path: Path
    _at: int = 0

    def opened(self) -> IO[bytes]:
        """For the process to write to; what it said before stays."""
        return self.path.open("ab")

    def text(self) -> str:
        """All of it."""
        return self.path.read_text(errors="replace")

    def line_with(
        self, word: bytes, process: subprocess.Popen[bytes], seconds: float = PATIENCE_SECONDS
    ) -> bytes:
        """The next line with a word in it. Fails, with all that was printed, when the process ends
        without it or the time is over."""
        end = time.monotonic() + seconds
        while True:
            ended = process.poll() is not None  # Asked first: it may have said it at the very end.
            while line := self._next():
                if word in line:
                    return line
            assert not ended, f"ended ({process.returncode}) without {word!r}:\n{self.text()}"
            assert time.monotonic() < end, f"no {word!r} in {seconds} s:\n{self.text()}"
            time.sleep(0.01)  # A process of its own says nothing else.

    def _next(self) -> bytes:
        # The next whole line; the process may be in the middle of one.
        with self.path.open("rb") as file:
            file.seek(self._at)
            line = file.readline()
        if not line.endswith(b"\n"):
            return b""
        self._at += len(line)
        return line


def first_line(process: subprocess.Popen[bytes], seconds: float = PATIENCE_SECONDS) -> bytes:
    """The first line that a process says on its pipe, by which it says that it is ready."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    if not ready:
        process.kill()
    assert ready, f"{process.args} said nothing in {seconds} s"
    return process.stdout.readline()


def status_of(
    process: subprocess.Popen[bytes], output: Output, seconds: float = PATIENCE_SECONDS
) -> int:
    """Waits for its end; the exit status. Fails with all that was printed when the time is over."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it runs on after {seconds} s:\n{output.text()}") from None


def runs(pid: int) -> bool:
    """Whether a process, which need not be our child, still runs (Linux)."""
    return _state(Path(f"/proc/{pid}")) not in {"", "Z"}


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Within it a process stands still, with all of its threads: after the signal the others work
    on until one of them has had its turn to take it, which lasts on a busy machine."""
    os.kill(pid, signal.SIGSTOP)
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while any(
            _state(task) not in {"", "T", "Z"} for task in Path(f"/proc/{pid}/task").iterdir()
        ):
            assert time.monotonic() < end, f"{pid} does not stand still"
            time.sleep(0.001)  # The kernel tells only a parent.
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _state(process: Path) -> str:
    # A letter of proc(5); nothing when it is gone.
    try:
        return (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""

"""What a process used, and how numbers are summed up."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_KB = 1024


def peak_mb(pid: int | str = "self") -> float:
    """The most memory a process had at once (VmHWM), in MB of 10⁶ bytes; 0 if it cannot be told."""
    path = Path(f"/proc/{pid}/status")
    lines = path.read_text().splitlines() if path.exists() else []
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * _KB / 1e6 if found else 0.0


def children(pid: int) -> list[int]:
    """The processes a process has started and not yet ended."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    return [pid, *(below for child in children(pid) for below in tree(child))]


def cpu_seconds(pid: int) -> float:
    """What a process and everything below it has spent of the processors, what has ended
    included."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """The memory of a process and everything below it, what they share counted once (PSS)."""
    found = 0
    for one in tree(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            found += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found * _KB / 1e6


def folder_mb(folder: Path) -> float:
    """The size of all files in a folder, in MB of 10⁶ bytes."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


@dataclass
class Stopwatch:
    """Seconds of a block."""

    seconds: float = 0.0


@contextmanager
def watch() -> Iterator[Stopwatch]:
    """Measures the time of a block; what is still to be written to disk is written before it."""
    os.sync()
    stopwatch, began = Stopwatch(), time.perf_counter()
    yield stopwatch
    stopwatch.seconds = time.perf_counter() - began


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so much of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The one in the middle."""
    return statistics.median(values)

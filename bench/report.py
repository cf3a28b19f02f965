"""Figures, and the table that shows them: what was measured, the aim, the peer, the machine."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("SQLAlchemy", "msgspec", "Flask", "waitress", "stripe")


class WrongAnswerError(Exception):
    """A measurement gave a wrong answer, so none of its figures counts."""


def check(holds: object, what: str) -> None:
    """Raises ``WrongAnswerError`` unless it holds."""
    if not holds:
        raise WrongAnswerError(what)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure. ``peer`` is the same work without us, measured beside it."""

    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    peer: float | None = None
    peer_is: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it reaches its aim; ``None`` where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    def cells(self) -> tuple[str, ...]:
        """Its row of the table."""
        return (
            self.what,
            f"{_number(self.value)} {self.unit}",
            self._aim(),
            {True: "yes", False: "NO", None: ""}[self.met],
            f"{self.value / self.peer:.2f}" if self.peer else "",
            f"{self.peer_is}: {_number(self.peer)}" if self.peer else "",
            self.note,
        )

    def _aim(self) -> str:
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)}"
        return "" if self.at_most is None else f"≤ {_number(self.at_most)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


_HEAD = ("figure", "measured", "aim", "met", "ratio to peer", "peer", "note")


def table(figures: Iterable[Figure]) -> str:
    """Markdown, with columns of equal width."""
    rows = [_HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"


def surroundings() -> str:
    """The machine and the versions, without its name."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{_cpu()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()} "
        f"{platform.release()}; Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {packages}. Load before: {os.getloadavg()[0]:.1f}."
    )


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def save(text: str) -> Path:
    """Writes a report under bench/results, named by the day and the kind of machine."""
    _RESULTS.mkdir(exist_ok=True)
    kind = f"{platform.system().lower()}-{platform.machine()}-{os.cpu_count()}-cores"
    path = _RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{kind}.md"
    path.write_text(text)
    return path

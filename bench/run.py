"""What a measurement is given: filled folders of its own, and how much to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.folders import QUICK, Sizes, fill_long, fill_usual, fill_wide

_FILLED: dict[str, tuple[str | None, Callable[[Path, Sizes], None]]] = {
    "usual": (None, fill_usual),
    "wide": ("usual", fill_wide),
    "long": ("usual", fill_long),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the bench. ``work`` is a folder that is deleted afterwards."""

    work: Path
    quick: bool

    @property
    def sizes(self) -> Sizes:
        """How much is filled in."""
        return QUICK if self.quick else Sizes()

    def seconds(self, usual: float) -> float:
        """How long to measure."""
        return usual / 4 if self.quick else usual

    def folder(self, filled: str) -> Path:
        """A copy of a filled folder; the original is filled when it is first asked for."""
        return self._copy(self._original(filled), self.work / "used" / filled)

    def _original(self, name: str) -> Path:
        path = self.work / "filled" / name
        if not path.exists():
            base, fill = _FILLED[name]
            unfinished = path.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            if base is not None:
                self._copy(self._original(base), unfinished)
            fill(unfinished, self.sizes)
            unfinished.rename(path)
        return path

    def _copy(self, source: Path, target: Path) -> Path:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        return target

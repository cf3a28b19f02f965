"""QR codes, as what an SVG ``<path>`` draws: no markup is made here, so none has to be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import segno

_QUIET = 4  # Modules that stay light on every side (ISO/IEC 18004).


@dataclass(frozen=True, slots=True)
class QrCode:
    """``side``: its length in modules, the quiet zone included; ``path``: the dark modules."""

    side: int
    path: str


def qr_code(text: str) -> QrCode:
    """The code of a text, as coarse as it can be: on a screen nothing of it gets damaged."""
    made = segno.make_qr(text, error="l")
    rows = [bytes(row) for row in made.matrix_iter(border=_QUIET)]
    return QrCode(len(rows), "".join(_row(y, row) for y, row in enumerate(rows)))


def _row(y: int, modules: bytes) -> str:
    """Neighbouring dark modules are one rectangle, so that no seam shows between them."""
    drawn, x = "", 0
    for dark, run in groupby(modules):
        width = len(list(run))
        drawn += f"M{x} {y}h{width}v1h-{width}z" if dark else ""
        x += width
    return drawn

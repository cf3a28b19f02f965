"""Where the browser is."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "chromium.sh"


def chromium() -> str:
    """Path of the program that ``scripts/chromium.sh`` has seen to. Fails with what it says."""
    where = (_SCRIPT, "where")
    done = subprocess.run(where, check=False, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

"""The reference of errors is made from the catalogue and is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shared.refusals import CODES

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_of_errors_is_current() -> None:
    check = [sys.executable, str(ROOT / "scripts" / "make_reference.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_names_every_code() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert [code for code in CODES if f"`{code}`" not in page] == []

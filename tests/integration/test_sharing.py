"""What starts a product or a server is run by one worker: in a run of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.product import ROOT

SHARING = """
import os
import pytest

@pytest.fixture
def embedded():
    return None

@pytest.fixture
def distributed():
    return None

@pytest.mark.parametrize("n", range(20))
def test_one(embedded, n):
    print("pages", os.environ["PYTEST_XDIST_WORKER"])

@pytest.mark.parametrize("n", range(20))
def test_other(distributed, n):
    print("distributed", os.environ["PYTEST_XDIST_WORKER"])
"""


def test_what_shares_a_product_is_run_by_one_worker(tmp_path: Path) -> None:
    (tmp_path / "test_many.py").write_text(SHARING)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ("-p", "tests.support.sharing", "-p", "no:randomly", "-p", "no:cacheprovider")
    grouped = ("-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder", "-rP")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "no:pytest_nameko", *grouped],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "40 passed" in done.stdout, done.stdout + done.stderr
    said = re.findall(r"^(pages|distributed) (gw\d)$", done.stdout, re.MULTILINE)
    assert len(said) == 40
    assert {product: len({w for p, w in said if p == product}) for product, _ in said} == {
        "pages": 1,
        "distributed": 1,
    }

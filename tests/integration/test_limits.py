"""Tests that hang, in runs of their own: each is cut off and named, and nothing stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contract.payment_servers import wait_until
from tests.support.product import ROOT

HANGING = """
import subprocess, sys, threading, time
import pytest

def test_waits_for_what_does_not_come():
    open("waits", "w").close()
    threading.Event().wait()

def test_goes_on_waiting_whatever_happens():
    while True:
        try:
            threading.Event().wait()
        except BaseException:
            pass

@pytest.fixture
def careless():
    yield
    threading.Event().wait()

def test_fails_and_hangs_while_cleaning_up(careless):
    assert False, "on purpose"

def test_is_fine():
    pass

def test_leaves_a_process_behind():
    sleep = "import time; time.sleep(600)"
    print(subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True).pid)
"""


def run(folder: Path, *options: str, until: Path | None = None) -> tuple[str, float]:
    """Runs the tests above with two workers: what the run says, and how many seconds it takes. It
    is told to end when the file ``until`` is there."""
    (folder / "test_hanging.py").write_text(HANGING)
    (folder / "pytest.ini").write_text("[pytest]\ntimeout_method = signal\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.limits", "-n", "2", "-rA"]
    for plugin in (
        "randomly",
        "cacheprovider",
        "pytest_nameko",
        "schemathesis",
        "hypothesispytest",
    ):
        command += ["-p", f"no:{plugin}"]
    ours = {n: v for n, v in os.environ.items() if not n.startswith("PYTEST_")}
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env=ours | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if until is not None:
        wait_until(until.exists, 60)
        process.terminate()
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 1, said
    return said, time.monotonic() - began


@pytest.mark.slow
def test_a_test_that_hangs_is_cut_off_and_named_and_the_others_go_on(tmp_path: Path) -> None:
    said, _ = run(tmp_path, "-o", "timeout=1", "-o", "cleaning_limit=1", "-o", "watchdog_later=1")

    assert "FAILED test_hanging.py::test_waits_for_what_does_not_come - Failed: Timeout" in said
    for name in ("goes_on_waiting_whatever_happens", "fails_and_hangs_while_cleaning_up"):
        assert f"crashed while running 'test_hanging.py::test_{name}'" in said, said
    assert "on purpose" in said
    assert "PASSED test_hanging.py::test_is_fine" in said
    assert "left behind by the tests, ended: " in said
    assert "time.sleep(600)" in said


@pytest.mark.slow
def test_a_run_that_takes_too_long_ends_and_says_what_it_waited_for(tmp_path: Path) -> None:
    said, took = run(tmp_path, "-o", "run_limit=4", "-k", "waits_for or is_fine")

    assert took < 30
    assert "cut off after 4 s" in said
    assert "  test_hanging.py::test_waits_for_what_does_not_come (for " in said
    assert "Fatal Python error: Aborted" in said  # And where its worker was.


@pytest.mark.slow
def test_a_run_that_is_told_to_end_says_what_it_was_at_and_leaves_nothing(tmp_path: Path) -> None:
    said, _ = run(tmp_path, "-n", "0", "-k", "waits_for", until=tmp_path / "waits")

    assert "cut off by a signal" in said
    assert "  test_hanging.py::test_waits_for_what_does_not_come (for " in said

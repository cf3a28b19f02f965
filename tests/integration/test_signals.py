"""The system gives a signal to any thread of a process; it has to end whichever it was."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.children import Output, first_line, status_of
from tests.support.product import ROOT

WAITS = """
import threading
from deploy.processes import until_told, wait_for

def other():
    threading.Event().wait(0.2)  # Until the main thread waits.
    print("ready", flush=True)
    threading.Event().wait()

def work(stopping):
    threading.Thread(target=other, daemon=True).start()
    wait_for(stopping)

until_told(work, "test")
"""


def signal_a_thread_of(pid: int, number: signal.Signals) -> None:
    """As the system does when the main thread has just another signal to see to."""
    (other, *_) = [n for t in Path(f"/proc/{pid}/task").iterdir() if (n := int(t.name)) != pid]
    assert ctypes.CDLL(None).tgkill(pid, other, int(number)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_whichever_of_its_threads_is_told(
    number: signal.Signals, tmp_path: Path
) -> None:
    output = Output(tmp_path / "log")
    with output.opened() as said:
        process = subprocess.Popen(
            [sys.executable, "-c", WAITS], cwd=ROOT, stdout=subprocess.PIPE, stderr=said
        )
    try:
        assert first_line(process) == b"ready\n"
        signal_a_thread_of(process.pid, number)
        assert status_of(process, output, 10) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)

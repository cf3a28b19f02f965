"""No run of the tests lasts for ever, and none leaves a process behind.

A test that takes longer than it may is failed by pytest-timeout, with a traceback. That comes from
a signal, which does not reach a test that waits inside a library written in C, or that goes on
waiting while it cleans up. For these a watchdog ends the whole worker: xdist names the test as the
one that crashed it, and goes on with another worker. For whatever is left, the run as a whole has
an end, and says which tests it was waiting for; so it does when it is told to end.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

_MARK = "PBXIM_TEST_RUN"  # Every process that a run starts inherits it.
_DUMP_SECONDS = 2.0
_END_SECONDS = 2.0  # What ends by itself has ended by then.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("run_limit", "seconds for all tests together", default="1500")
    parser.addini("cleaning_limit", "seconds for what a test has used to end", default="60")
    parser.addini("watchdog_later", "seconds from the signal to the watchdog's turn", default="30")


def pytest_configure(config: pytest.Config) -> None:
    stderr = _real_stderr(config)
    config.pluginmanager.register(Watchdog(config, stderr))
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ[_MARK] = uuid.uuid4().hex
        config.pluginmanager.register(WholeRun(float(config.getini("run_limit")), stderr))


def _real_stderr(config: pytest.Config) -> int:
    # Not the one that pytest has put in its place, which nobody reads when all ends at once.
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        return os.dup(2)


class Watchdog:
    """Ends the process in which a test does not end, wherever it waits."""

    def __init__(self, config: pytest.Config, stderr: int) -> None:
        self._config = config
        self._stderr = stderr
        self._cleaning = float(config.getini("cleaning_limit"))
        self._later = float(config.getini("watchdog_later"))

    def _allowed(self, item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        wanted = self._config.getoption("timeout")
        if wanted is None:
            wanted = mark.args[0] if mark else self._config.getini("timeout")
        seconds = float(wanted or 0)
        return seconds and seconds + self._later

    def _arm(self, seconds: float) -> None:
        if seconds:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._stderr)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._arm(self._allowed(item))
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self, node: pytest.Item) -> None:
        # pytest and pytest-timeout stop their clocks here, for a debugger. What the test that has
        # failed used may hang while it ends.
        self._arm(min(self._cleaning, self._allowed(node)))


class WholeRun:
    """Ends the run when its time is over, and everything that it has started when it ends."""

    def __init__(self, seconds: float, stderr: int) -> None:
        self._seconds = seconds
        self._stderr = stderr
        self._running: dict[str, float] = {}
        self._failed: list[str] = []
        self._ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self._cut_off("by a signal"))
        atexit.register(self._end)  # After all others: the tests' servers end in the same way.
        threading.Thread(target=self._watch, name="run-limit", daemon=True).start()
        # Should no thread of Python get its turn any more.
        faulthandler.dump_traceback_later(seconds + 4 * _END_SECONDS, exit=True, file=stderr)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._running.pop(nodeid, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.append(report.nodeid)

    def _end(self) -> None:
        self._ended.set()
        self._sweep(time.monotonic() + _END_SECONDS)

    def _watch(self) -> None:
        if not self._ended.wait(self._seconds):
            self._cut_off(f"after {self._seconds:.0f} s")

    def _cut_off(self, why: str) -> None:
        names = [f"failed before: {nodeid}" for nodeid in self._failed]
        names.append(f"the tests were cut off {why}; these were running:")
        for nodeid, began in sorted(self._running.items()):
            names.append(f"  {nodeid} (for {time.monotonic() - began:.0f} s)")
        self._say("\n" + "\n".join(names))
        faulthandler.dump_traceback(self._stderr)
        for pid in started_by_this_run():
            _signal(pid, signal.SIGABRT)  # A worker says what it does (pytest arms it for that).
        time.sleep(_DUMP_SECONDS)
        self._sweep(0)
        self._say("\n".join(names))  # Again: a reader of many lines looks at the last ones.
        os._exit(1)

    def _sweep(self, patience_ends: float) -> None:
        while (left := started_by_this_run()) and time.monotonic() < patience_ends:
            time.sleep(0.05)  # They are not our children, so nobody tells us.
        for pid, command in left.items():
            self._say(f"left behind by the tests, ended: {pid} {command}")
            _signal(pid, signal.SIGKILL)

    def _say(self, line: str) -> None:
        os.write(self._stderr, f"{line}\n".encode())


def started_by_this_run() -> dict[int, str]:
    """The processes that have inherited our mark and still run: pid → command (Linux)."""
    mark = f"{_MARK}={os.environ[_MARK]}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended, or is somebody else's.
            environment = (folder / "environ").read_bytes().split(b"\0")
            if mark in environment and int(folder.name) != os.getpid():
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[int(folder.name)] = b" ".join(words).decode(errors="replace")[:200]
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)

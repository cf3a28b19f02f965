"""The processes of a system as supervisord knows them: ended, started, added and taken away."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from tests.support.rabbitmq import free_port

UP_SECONDS = 60.0
_ADDED = "group:more-"
WEAKENED = "tests.faults.distributed.weakened"


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until something holds. Fails when the time is over."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not in {seconds} s"
        time.sleep(0.02)  # Processes of others: there is nothing but asking again.


class _Transport(SupervisorTransport):  # type: ignore[misc]  # It ships no types.
    """supervisor's own, which would wait for an answer without end."""

    def __init__(self, place: Path) -> None:
        super().__init__(None, None, f"unix://{place}")
        self._made, self._get_connection = self._get_connection, self._limited

    def _limited(self) -> Any:
        connection = self._made()
        connection.connect()
        connection.sock.settimeout(UP_SECONDS)
        return connection


def _parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def _written(told: dict[str, dict[str, str]]) -> str:
    sections = ("\n".join([f"[{n}]", *map(" = ".join, told[n].items()), ""]) for n in told)
    return "\n".join(sections)


class Supervised:
    """What runs under the supervisord of ``up``, the folder of ``make up``."""

    def __init__(self, up: Path) -> None:
        self.up = up

    def told(self) -> dict[str, dict[str, str]]:
        """What supervisord is told: its file, by section."""
        return _parsed((self.up / "supervisord.conf").read_text())

    def restart(self, name: str) -> float:
        """SIGTERM and a new start, as a deployment does it; returns when the new one runs."""
        with self._control() as control:
            full = self._full(name)
            with contextlib.suppress(Fault):
                control.stopProcess(full, True)
            control.startProcess(full, True)
        return time.monotonic()

    def halt(self, name: str) -> None:
        """Ends it, and it stays ended."""
        with self._control() as control, contextlib.suppress(Fault):
            control.stopProcess(self._full(name), True)

    def resume(self, name: str) -> None:
        """Starts it again after ``halt``."""
        with self._control() as control, contextlib.suppress(Fault):
            control.startProcess(self._full(name), False)

    def configure(self, change: Callable[[str], str]) -> None:
        """Rewrites what supervisord is told and has it take that over; what has changed is
        restarted, all of its group with it."""
        file = self.up / "supervisord.conf"
        file.write_text(change(file.read_text()))
        with self._control() as control:
            ((added, changed, removed),) = cast("Any", control.reloadConfig())
            for group in [*changed, *removed]:
                control.stopProcessGroup(group)
                control.removeProcessGroup(group)
            for group in [*added, *changed]:
                control.addProcessGroup(group)

    def add(
        self,
        name: str,
        like: str,
        weakness: str = "",
        *,
        otherwise: Callable[[dict[str, str]], None] = lambda _section: None,
    ) -> float:
        """Starts another process like one that there is, with a protection switched off (see
        ``weakened.py``) or with something else changed in what supervisord is told of it; returns
        when it has begun to run."""

        def change(text: str) -> str:
            told = _parsed(text)
            section = dict(told[f"program:{like}"])
            if weakness:
                python, module = section["command"].split(" -m ", 1)
                section["command"] = f"{python} -m {WEAKENED} {weakness} {module}"
            told_it = section["environment"].replace(
                f'PBXIM_PROCESS="{like}"', f'PBXIM_PROCESS="{name}"'
            )
            health = f'PBXIM_HEALTH="127.0.0.1:{free_port()}"'
            section["environment"] = re.sub(r'PBXIM_HEALTH="[^"]*"', health, told_it)
            otherwise(section)
            told[f"program:{name}"] = section
            told[f"{_ADDED}{name}"] = {"programs": name, "priority": "40"}
            return _written(told)

        self.configure(change)
        until(lambda: self._state(name) == "RUNNING", UP_SECONDS, f"{name} keeps running")
        return time.monotonic()

    def _state(self, name: str) -> str:
        return next((str(one["statename"]) for one in self._all() if one["name"] == name), "")

    def remove(self, name: str) -> None:
        """Ends one that was added."""

        def change(text: str) -> str:
            told = _parsed(text)
            del told[f"program:{name}"], told[f"{_ADDED}{name}"]
            return _written(told)

        self.configure(change)

    def tidy(self) -> None:
        """Ends every process that was added and starts those again that were halted, so that a
        scenario that failed on its way leaves nothing to the next one."""
        self.go_on()
        for section in self.told():
            if section.startswith(_ADDED):
                self.remove(section.removeprefix(_ADDED))
        for one in self._all():
            if one["statename"] == "STOPPED":
                self.resume(one["name"])

    def go_on(self) -> None:
        """Lets every process run again that was frozen."""
        with contextlib.suppress(Exception):
            for pid in (int(one["pid"]) for one in self._all() if one["pid"]):
                os.kill(pid, signal.SIGCONT)

    def _full(self, name: str) -> str:
        return next(f"{one['group']}:{one['name']}" for one in self._all() if one["name"] == name)

    def _all(self) -> list[dict[str, Any]]:
        with self._control() as control:
            return cast("list[dict[str, Any]]", control.getAllProcessInfo())

    @contextlib.contextmanager
    def _control(self) -> Iterator[Any]:
        transport = _Transport(self.up / "control")
        proxy = ServerProxy("http://127.0.0.1", transport=transport)
        try:
            yield proxy.supervisor
        finally:
            transport.close()

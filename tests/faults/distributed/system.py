"""The system under test: started as ``make up`` starts it, its processes known by supervisord."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from deploy.payment_sandbox.book import Book
from deploy.up.servers import Servers
from shared.eventlog.postgres_pool import Connection, connect
from tests.support.product import ApiClient, Product
from tests.support.rabbitmq import free_port

SERVICES = ("inventory", "orders", "routing", "porting", "billing", "clock")
RUNNERS = tuple(f"{name}-runner" for name in SERVICES if name != "clock")
_UP_SECONDS = 60.0
_INSIDE = Path(__file__).parent / "inside"
WEAKENED = "tests.faults.distributed.weakened"
_ENVIRONMENT = {
    "PBXIM_NUMBERS_HELD": "100000",
    "PBXIM_NUMBERS_PER_CITY": "10000",
    "PBXIM_HOLD_MINUTES": "600",
    "PBXIM_RATE_LIMIT": "100000 per second",
    "PBXIM_STRIPE_TIMEOUT": "3",
    "PBXIM_LOG_LEVEL": "warning",
}


class _Transport(SupervisorTransport):  # type: ignore[misc]  # It ships no types.
    """supervisor's own, which would wait for an answer without end."""

    def __init__(self, place: Path) -> None:
        super().__init__(None, None, f"unix://{place}")
        self._made, self._get_connection = self._get_connection, self._limited

    def _limited(self) -> Any:
        connection = self._made()
        connection.connect()
        connection.sock.settimeout(_UP_SECONDS)
        return connection


def _parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def _written(told: dict[str, dict[str, str]]) -> str:
    sections = ("\n".join([f"[{n}]", *map(" = ".join, told[n].items()), ""]) for n in told)
    return "\n".join(sections)


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until something holds. Fails when the time is over."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not in {seconds} s"
        time.sleep(0.02)  # Processes of others: there is nothing but asking again.


class System:
    """The processes in a folder. ``together``: one for all services, one for all runners."""

    def __init__(self, folder: Path, *, together: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.together = together
        self.points = folder / "points"
        self.points.mkdir(exist_ok=True)
        environment = _ENVIRONMENT | {
            "PBXIM_FAILPOINT": f"orders:{self.points}",
            "FAULTS_FOLDER": str(self.points),
            "PYTHONPATH": str(_INSIDE),
        }
        self.product = Product(folder / "var", environment, distributed=True, together=together)

    def start(self) -> System:
        """Returns when it answers and the demo is there."""
        self.product.start()
        return self

    def stop(self) -> None:
        """Ends all of it."""
        self._go_on()
        try:
            self.product.stop()
        finally:
            self.product.forget()

    @property
    def up(self) -> Path:
        """The folder of servers and supervisord."""
        return self.product.data / "up"

    @property
    def servers(self) -> Servers:
        """Addresses of the servers."""
        return Servers(self.up)

    @property
    def book(self) -> Book:
        """What the payment provider knows."""
        return Book(self.product.data / "payment_sandbox")

    @property
    def names(self) -> list[str]:
        """The product's own processes, by their names."""
        left_out = {"migrate", "rabbitmq", "rabbitmq-names", "postgresql"}
        return [one["name"] for one in self._all() if one["name"] not in left_out]

    def pid(self, name: str) -> int:
        """Of a process that runs; 0 while it does not. The broker's is that of its machine."""
        if name == "rabbitmq":
            with contextlib.suppress(OSError, ValueError):
                return int((self.up / "rabbitmq" / "pid").read_text())
            return 0
        return next(int(one["pid"]) for one in self._all() if one["name"] == name)

    def signal(self, name: str, number: signal.Signals) -> int:
        """Sends a signal; answers with the pid."""
        pid = self.pid(name)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    def kill(self, name: str) -> int:
        """SIGKILL; answers with the pid that was."""
        return self.signal(name, signal.SIGKILL)

    def tell(self, name: str, words: str) -> None:
        """Has a process do something inside (``inside/sitecustomize.py``); returns when it has
        begun to."""
        file = self.points / f"{name}.told"
        file.write_text(words)
        assert self.signal(name, signal.SIGUSR2), f"{name} does not run"
        until(lambda: not file.exists(), _UP_SECONDS, f"{name} has begun to {words}")

    def health(self, name: str) -> dict[str, Any]:
        """What a process says of itself (``/readyz``); empty while it says nothing."""
        told = _parsed(self._told())
        found = re.search(r'PBXIM_HEALTH="([^"]*)"', told[f"program:{name}"]["environment"])
        assert found is not None, name
        with contextlib.suppress(OSError, HTTPException):
            body = ApiClient(f"http://{found[1]}", "").ask("GET", "/readyz", timeout=5).body
            return body if isinstance(body, dict) else {}
        return {}

    def back(self, name: str, old: int, seconds: float = _UP_SECONDS) -> float:
        """Waits until another process of that name runs; says when (monotonic). Servers count as
        back when they take connections."""
        until(lambda: self.pid(name) not in {0, old}, seconds, f"{name} is started again")
        port = {"rabbitmq": "broker_port", "postgresql": "port"}.get(name)
        if port is not None:
            until(lambda: self.answers(port), seconds, f"{name} answers")
        return time.monotonic()

    def answers(self, port: str) -> bool:
        """Whether a server takes connections and means it."""
        if port == "port":
            with contextlib.suppress(Exception):
                connect(self.servers.database("postgres")).close()
                return True
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.servers.port(port)), 1) as link:
                link.sendall(b"AMQP\x00\x00\x09\x01")
                link.settimeout(2)
                return link.recv(1) == b"\x01"
        except OSError:
            return False

    def listening(self, seconds: float = 2 * _UP_SECONDS) -> float:
        """Waits until the gateway answers; says when (monotonic). The last to be there of all."""
        until(self._alive, seconds, "the gateway answers")
        return time.monotonic()

    def _alive(self) -> bool:
        with contextlib.suppress(OSError, HTTPException):
            return self.product.customer().get("/livez").status == 200
        return False

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
            told[f"group:more-{name}"] = {"programs": name, "priority": "40"}
            return _written(told)

        self.configure(change)
        until(lambda: self._state(name) == "RUNNING", _UP_SECONDS, f"{name} keeps running")
        return time.monotonic()

    def _state(self, name: str) -> str:
        return next((str(one["statename"]) for one in self._all() if one["name"] == name), "")

    def remove(self, name: str) -> None:
        """Ends one that was added."""

        def change(text: str) -> str:
            told = _parsed(text)
            del told[f"program:{name}"], told[f"group:more-{name}"]
            return _written(told)

        self.configure(change)

    def tidy(self) -> None:
        """Ends every process that was added and starts those again that were halted, so that a
        scenario that failed on its way leaves nothing to the next one."""
        self._go_on()
        for name in re.findall(r"^\[group:more-(.+)\]$", self._told(), re.MULTILINE):
            self.remove(name)
        for one in self._all():
            if one["statename"] == "STOPPED":
                self.resume(one["name"])

    def _told(self) -> str:
        return (self.up / "supervisord.conf").read_text()

    def connection(self, role: str = "pbxim") -> Connection:
        """A connection to the database, beside the product."""
        return connect(self.servers.database(role))

    def base_url(self) -> str:
        """Where the gateway is."""
        return self.product.demo["base_url"]

    def gateway_port(self) -> int:
        """The port of it."""
        return urlsplit(self.base_url()).port or 0

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

    def _go_on(self) -> None:
        # Also those that a scenario has left frozen.
        with contextlib.suppress(Exception):
            for pid in (int(one["pid"]) for one in self._all() if one["pid"]):
                os.kill(pid, signal.SIGCONT)

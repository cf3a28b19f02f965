"""The system under test: started as ``make up`` starts it, its processes known by supervisord."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.payment_sandbox.book import Book
from deploy.up.servers import Servers
from shared.eventlog.postgres_pool import Connection, connect
from tests.faults.distributed.supervised import UP_SECONDS, Supervised, until
from tests.support.product import ApiClient, Product

SERVICES = ("inventory", "orders", "routing", "porting", "billing", "clock")
RUNNERS = tuple(f"{name}-runner" for name in SERVICES if name != "clock")
_INSIDE = Path(__file__).parent / "inside"
_ENVIRONMENT = {
    "PBXIM_NUMBERS_HELD": "100000",
    "PBXIM_NUMBERS_PER_CITY": "10000",
    "PBXIM_HOLD_MINUTES": "600",
    "PBXIM_RATE_LIMIT": "100000 per second",
    "PBXIM_STRIPE_TIMEOUT": "3",
    "PBXIM_LOG_LEVEL": "warning",
}


class System(Supervised):
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
        super().__init__(self.product.data / "up")

    def start(self) -> System:
        """Returns when it answers and the demo is there."""
        self.product.start()
        return self

    def stop(self) -> None:
        """Ends all of it."""
        self.go_on()
        try:
            self.product.stop()
        finally:
            self.product.forget()

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
        until(lambda: not file.exists(), UP_SECONDS, f"{name} has begun to {words}")

    def health(self, name: str) -> dict[str, Any]:
        """What a process says of itself (``/readyz``); empty while it says nothing."""
        section = self.told()[f"program:{name}"]
        found = re.search(r'PBXIM_HEALTH="([^"]*)"', section["environment"])
        assert found is not None, name
        with contextlib.suppress(OSError, HTTPException):
            body = ApiClient(f"http://{found[1]}", "").ask("GET", "/readyz", timeout=5).body
            return body if isinstance(body, dict) else {}
        return {}

    def back(self, name: str, old: int, seconds: float = UP_SECONDS) -> float:
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

    def listening(self, seconds: float = 2 * UP_SECONDS) -> float:
        """Waits until the gateway answers; says when (monotonic). The last to be there of all."""
        until(self._alive, seconds, "the gateway answers")
        return time.monotonic()

    def _alive(self) -> bool:
        with contextlib.suppress(OSError, HTTPException):
            return self.product.customer().get("/livez").status == 200
        return False

    def connection(self, role: str = "pbxim") -> Connection:
        """A connection to the database, beside the product."""
        return connect(self.servers.database(role))

    def base_url(self) -> str:
        """Where the gateway is."""
        return self.product.demo["base_url"]

    def gateway_port(self) -> int:
        """The port of it."""
        return urlsplit(self.base_url()).port or 0

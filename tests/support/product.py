"""The product as a user starts it: a process of its own, spoken to over HTTP only."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.ground import open_log
from deploy.up.servers import Servers
from shared import config
from shared.eventlog import EventLog

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0  # Of a machine that does other things, too; alone it takes one.
_ABORTED_SECONDS = 5.0
_SLOWER = 2  # The distributed system: a dozen processes, on a machine that runs other tests, too.


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The stable code of a problem."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


@dataclass
class ApiClient:
    """A caller with a key. Connections are not kept: every request stands for itself."""

    base_url: str
    key: str

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 40,
    ) -> Answer:
        """One request; ``key`` is the Idempotency-Key."""
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        sent |= headers or {}
        if key is not None:
            sent["Idempotency-Key"] = key
        raw = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
        place = urlsplit(self.base_url)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=timeout)
        try:
            connection.request(method, path, raw, sent)
            found = connection.getresponse()
            text = found.read()
            return Answer(found.status, dict(found.getheaders()), _parsed(text))
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """Reads."""
        return self.ask("GET", path)

    def post(self, path: str, body: Any = None, key: str | None = None) -> Answer:
        """Commands, under a key of its own unless one is given."""
        return self.ask("POST", path, body, key=key or uuid.uuid4().hex)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text.decode(errors="replace")


@dataclass
class Product:
    """A running product and the keys to it."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    distributed: bool = False
    together: bool = True

    def start(self) -> Product:
        """Starts it on a free port and waits until it answers."""
        demo = self.data / "demo.json"
        before = demo.stat().st_mtime_ns if demo.exists() else 0
        with self._log_path().open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._module()],
                cwd=ROOT,
                env=os.environ | self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + self._seconds(_READY_SECONDS)
        while not demo.exists() or demo.stat().st_mtime_ns == before:
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(self.log())
            time.sleep(0.02)  # A process of its own says nothing else.
        return self

    def _module(self) -> tuple[str, ...]:
        if not self.distributed:
            return ("deploy.embedded",)
        return ("deploy.up", "up", *(["--together"] if self.together else []))

    def _seconds(self, embedded: float) -> float:
        return embedded * _SLOWER if self.distributed else embedded

    def _environment(self) -> dict[str, str]:
        ours = {"PBXIM_MODE": "sandbox", "PBXIM_HTTP": "127.0.0.1:0", "PBXIM_DATA": str(self.data)}
        return ours | {"PYTHONFAULTHANDLER": "1"} | self.environment

    def events(self) -> EventLog:
        """The event log, beside the product that runs."""
        own = {"PBXIM_LOG": Servers(self.data / "up").database()} if self.distributed else {}
        environment = own | self._environment()
        return open_log(config.load(environment))

    def log(self) -> str:
        """What it said."""
        return self._log_path().read_text()

    def _log_path(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    @property
    def demo(self) -> dict[str, str]:
        """What ``demo.json`` says."""
        found: dict[str, str] = json.loads((self.data / "demo.json").read_text())
        return found

    def customer(self) -> ApiClient:
        """The demo account."""
        return ApiClient(self.demo["base_url"], self.demo["api_key"])

    def staff(self) -> ApiClient:
        """The back office."""
        return ApiClient(self.demo["base_url"], self.demo["staff_api_key"])

    def open_account(self, card: str | None = "pm_card_visa") -> ApiClient:
        """Another account, with a card."""
        name = uuid.uuid4().hex[:12]
        wanted = {"name": f"Company {name}", "email": f"{name}@example.com", "country": "US"}
        account = self.staff().post("/v1/accounts", wanted)
        assert account.status == 201, account
        client = ApiClient(self.demo["base_url"], account.body["api_key"])
        if card is not None:
            added = client.post("/v1/payment-methods", {"payment_method": card})
            assert added.status == 201, added
        return client

    def payments(self) -> ApiClient:
        """The payment sandbox itself, from outside the product."""
        keys = json.loads((self.data / "payment_sandbox" / "keys.json").read_text())
        return ApiClient(self.demo["payments_url"], keys["secret_key"])

    def complete_3d_secure(self, client_secret: str) -> None:
        """What a customer does in the bank's step."""
        keys = json.loads((self.data / "payment_sandbox" / "keys.json").read_text())
        customer = ApiClient(self.demo["payments_url"], keys["publishable_key"])
        intent = client_secret.split("_secret_", maxsplit=1)[0]
        body = f"client_secret={client_secret}&outcome=complete"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        path = f"/v1/payment_intents/{intent}/authenticate"
        done = customer.ask("POST", path, body, headers=form)
        assert done.status == 200, done

    def stop(self) -> float:
        """Ends it as Ctrl-C does; says how many seconds that took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        seconds = self._seconds(_STOP_SECONDS)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._say_where()
            raise AssertionError(f"it did not end in {seconds} s:\n{self.log()}") from None
        return time.monotonic() - began

    def _say_where(self) -> None:
        # Ends it, and what all its threads were at is in its log.
        assert self.process is not None
        self.process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_ABORTED_SECONDS)
        self.kill()

    def forget(self) -> None:
        """Takes the database away that lies elsewhere. Nothing of it may run any more."""
        if self.distributed:
            Servers(self.data / "up").forget()

    def kill(self) -> None:
        """Ends it without warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(_STOP_SECONDS)

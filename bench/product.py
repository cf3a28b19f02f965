"""The product as a user starts it, a process of its own, and a client that keeps its connection."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import machine
from bench.filling import environment
from bench.report import check

ROOT = Path(__file__).parents[1]
_READY_SECONDS = 120.0
_STOP_SECONDS = 10.0


class Api:
    """A caller with a key and a connection."""

    def __init__(self, base_url: str, key: str) -> None:
        place = urlsplit(base_url)
        self.key = key
        self._connection = HTTPConnection(place.hostname or "", place.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request; every POST has a key of its own."""
        headers = {"Authorization": f"Bearer {self.key}"}
        if method == "POST":
            headers |= {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        raw = None if body is None else json.dumps(body)
        self._connection.request(method, path, raw, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


class Product:
    """A running product on a data folder: ``module`` with its arguments is what is started."""

    module: tuple[str, ...] = ("deploy.embedded",)
    stop_seconds = _STOP_SECONDS

    def __init__(self, data: Path) -> None:
        self.data = data
        self.start_seconds = 0.0
        demo = data / "demo.json"
        before = demo.stat().st_mtime_ns if demo.exists() else 0
        began = time.monotonic()
        with (data.parent / f"{data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.module],
                cwd=ROOT,
                env=os.environ | environment() | {"PBXIM_DATA": str(data)},
                stdout=log,
                stderr=log,
            )
        while not demo.exists() or demo.stat().st_mtime_ns == before:
            running = self._process.poll() is None and time.monotonic() - began < _READY_SECONDS
            check(running, f"the product did not start; see {data}.log")
            time.sleep(0.005)
        self.start_seconds = time.monotonic() - began
        self._demo: dict[str, str] = json.loads(demo.read_text())

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return self._demo["base_url"]

    def customer(self) -> Api:
        """The demo account."""
        return Api(self.base_url, self._demo["api_key"])

    def staff(self) -> Api:
        """The back office."""
        return Api(self.base_url, self._demo["staff_api_key"])

    def open_accounts(self, count: int) -> list[str]:
        """The keys of further accounts, each with a card."""
        staff = self.staff()
        return [self._open(staff) for _ in range(count)]

    def _open(self, staff: Api) -> str:
        name = uuid.uuid4().hex[:12]
        wanted = {"name": f"Company {name}", "email": f"{name}@example.com", "country": "US"}
        status, account = staff.ask("POST", "/v1/accounts", wanted)
        check(status == 201, f"no account: {account}")
        client = Api(self.base_url, account["api_key"])
        status, card = client.ask("POST", "/v1/payment-methods", {"payment_method": "pm_card_visa"})
        check(status == 201, f"no card: {card}")
        client.close()
        return str(account["api_key"])

    def peaks_mb(self) -> tuple[float, float]:
        """The peak memory of the product and of its payment sandbox."""
        pid = self._process.pid
        return machine.peak_mb(pid), sum(machine.peak_mb(child) for child in machine.children(pid))

    def stop(self) -> None:
        """Ends it as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


@contextmanager
def running(data: Path) -> Iterator[Product]:
    """A product that is stopped afterwards."""
    product = Product(data)
    try:
        yield product
    finally:
        product.stop()

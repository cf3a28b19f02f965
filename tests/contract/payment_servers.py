"""Starting the two payment providers that the contract is checked against, and what they call."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import stripe

from deploy.payment_sandbox.process import SandboxProcess, start_sandbox
from tests.support.children import first_line

SECRET_KEY = "sk_test_contract"
PUBLISHABLE_KEY = "pk_test_contract"
WEBHOOK_SECRET = "whsec_contract"
HERE = Path(__file__).parent


def wait_until(predicate: Callable[[], Any], timeout: float = 5.0) -> Any:
    """The first true value of `predicate`; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (found := predicate()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


@dataclass(frozen=True)
class Delivery:
    """One webhook as it arrived."""

    payload: bytes
    signature: str
    at: float

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.payload)

    def concerns(self, identifier: str) -> bool:
        """Whether the event is about this object or one of this intent or customer."""
        return identifier.encode() in self.payload

    def is_genuine(self) -> bool:
        try:
            stripe.Webhook.construct_event(self.payload, self.signature, WEBHOOK_SECRET)
        except stripe.SignatureVerificationError:
            return False
        return True


class Receiver:
    """Collects webhooks; refuses with 500 those that `refuse` names, that many times."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.refuse: dict[str, int] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                payload = self.rfile.read(int(self.headers["Content-Length"]))
                signature = self.headers.get("Stripe-Signature", "")
                delivery = Delivery(payload, signature, time.monotonic())
                receiver.deliveries.append(delivery)
                self.send_response(500 if receiver.refuses(delivery) else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/stripe"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def refuses(self, delivery: Delivery) -> bool:
        for identifier, times in self.refuse.items():
            if times and delivery.concerns(identifier):
                self.refuse[identifier] -= 1
                return True
        return False

    def about(self, identifier: str, event_type: str) -> list[Delivery]:
        return [
            delivery
            for delivery in list(self.deliveries)
            if delivery.concerns(identifier) and delivery.event["type"] == event_type
        ]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def client_of(base_url: str, **options: Any) -> stripe.StripeClient:
    """The official library, pointed at a local server; it repeats nothing by itself."""
    settings: dict[str, Any] = {"max_network_retries": 0} | options
    return stripe.StripeClient(SECRET_KEY, base_addresses={"api": base_url}, **settings)


@dataclass
class Provider:
    """A running payment provider."""

    name: str
    base_url: str
    receiver: Receiver
    stop: Callable[[], None]
    authenticate_path: str
    outcomes: dict[bool, dict[str, str]]

    def __post_init__(self) -> None:
        self.api = client_of(self.base_url).v1

    def finish_authentication(self, intent: stripe.PaymentIntent, *, succeeds: bool) -> None:
        """What the person does in the 3-D Secure window."""
        path = f"/v1/payment_intents/{intent.id}/{self.authenticate_path}"
        fields = {"key": PUBLISHABLE_KEY, "client_secret": intent.client_secret}
        post(self.base_url + path, fields | self.outcomes[succeeds])


class RefusedError(Exception):
    """An HTTP answer of 400 or more."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def fetch(request: urllib.request.Request | str, data: bytes | None = None) -> dict[str, Any]:
    """The JSON of an answer; raises RefusedError."""
    try:
        with urllib.request.urlopen(request, data, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise RefusedError(error.code) from None


def post(url: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Send a form without any header of ours, as a page does."""
    return fetch(url, urlencode(fields).encode())


def launch(folder: Path, receiver: Receiver | None = None, **more: Any) -> SandboxProcess:
    """Our sandbox with the keys of these tests."""
    if receiver:
        more |= {"webhook_url": receiver.url, "webhook_secret": WEBHOOK_SECRET}
    return start_sandbox(folder, secret_key=SECRET_KEY, publishable_key=PUBLISHABLE_KEY, **more)


def start_our_sandbox(folder: Path) -> Provider:
    receiver = Receiver()
    running = launch(folder, receiver)

    def stop() -> None:
        running.stop()
        receiver.stop()

    outcomes = {True: {"outcome": "complete"}, False: {"outcome": "fail"}}
    return Provider("sandbox", running.base_url, receiver, stop, "authenticate", outcomes)


def start_localstripe(_folder: Path) -> Provider:
    receiver = Receiver()
    process = subprocess.Popen(
        [sys.executable, str(HERE / "localstripe_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    base_url = f"http://127.0.0.1:{json.loads(first_line(process))['port']}"
    hook = {"url": receiver.url, "secret": WEBHOOK_SECRET}
    where = f"{base_url}/_config/webhooks/ours"
    with urllib.request.urlopen(where, urlencode(hook).encode(), timeout=20):
        pass

    def stop() -> None:
        process.stdin.close()
        process.stdout.close()
        process.wait(5)
        receiver.stop()

    outcomes = {True: {"success": "true"}, False: {"success": "false"}}
    return Provider("localstripe", base_url, receiver, stop, "_authenticate", outcomes)

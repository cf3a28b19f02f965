"""Everything in one process: ``make run``. The first minute of the product.

Ordinary threads, three SQLite files, the payment sandbox as a child. Ctrl-C ends it within two
seconds; a kill -9 at any point loses nothing (tests/faults).
"""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from types import FrameType
from typing import Any

from waitress import create_server

from deploy.assembly import Assembly, all_specs, assemble, make_folder
from deploy.demo import prepare_demo, refuse_demo
from deploy.payment_sandbox.process import SandboxProcess
from deploy.payments import start_payments
from services import gateway
from services.gateway import idempotency
from services.gateway.app import create_app, key_wrapper
from services.gateway.mail_sending import Postman
from shared import config, failpoints, logging
from shared.config import Settings
from shared.errors import PbxError
from shared.runtime import Runtime

_log = logging.logger("embedded")
_THREADS = 64  # 16 waiters, 32 event streams, and room for everybody else.
_MOST_BODY_BYTES = 64 * 1024 * 1024  # The application itself refuses less, readably.
_GARBAGE = (50_000, 20, 50)  # Batches of events are many short-lived objects without cycles.
_SWITCH_SECONDS = 0.002  # The engine must not keep a page waiting for the interpreter.


class Embedded:
    """The running product. ``start`` returns when it answers; ``stop`` leaves nothing behind."""

    def __init__(self, settings: Settings, *, demo: bool = True) -> None:
        self.settings = settings
        self._demo = demo
        self._child: SandboxProcess | None = None
        self._server: Any = None
        self._ending = threading.Event()
        self.assembly: Assembly | None = None

    def start(self) -> None:
        """Starts payments, services, gateway; loads the demo's stock on the first start."""
        make_folder(self.settings)
        listening = _listen(self.settings)
        self.settings = replace(self.settings, port=listening.getsockname()[1])
        if self.settings.public_url.endswith(":0"):
            self.settings = replace(self.settings, public_url=self.settings.base_url)
        self.settings, self._child = start_payments(self.settings)
        self.assembly = assemble(self.settings, (*all_specs(), gateway.spec()))
        self.assembly.start()
        app = create_app(self.assembly.runtime, self.assembly.client, self.assembly.status)
        if not self.settings.sandbox:
            refuse_demo(self.assembly)
        idempotency.give_up_running(self.assembly.runtime.state)
        self._server = create_server(
            app,
            sockets=[listening],
            threads=_THREADS,
            clear_untrusted_proxy_headers=True,
            **_proxy(self.settings.trusted_proxy),
            max_request_body_size=_MOST_BODY_BYTES,
        )
        threading.Thread(target=self._serve, name="http", daemon=True).start()
        self._start_mails(self.assembly.runtime)
        if self._demo and self.settings.sandbox:
            prepare_demo(self.assembly)

    def stop(self) -> None:
        """Ends everything that was started, in the other order."""
        self._ending.set()
        if self._server is not None:
            self._server.close()
        if self.assembly is not None:
            self.assembly.stop(0.5)
        if self._child is not None:
            self._child.stop()

    def _start_mails(self, runtime: Runtime) -> None:
        if self.settings.smtp is None:
            if not self.settings.sandbox:  # There, staff reads them in the outbox.
                _log.warning("mails_are_not_sent", next_step="set PBXIM_SMTP")
            return
        postman = Postman(runtime.state, key_wrapper(runtime), self.settings, runtime.machine)
        run = threading.Thread(target=postman.run, args=(self._ending,), name="mail", daemon=True)
        run.start()

    def _serve(self) -> None:
        # Closing the socket is how waitress is told to end.
        with contextlib.suppress(OSError):
            self._server.run()


def _proxy(trusted: str | None) -> dict[str, Any]:
    # Without TLS of our own there is a proxy wherever customers come from outside.
    headers = {"trusted_proxy_headers": {"x-forwarded-for"}, "trusted_proxy_count": 1}
    return {"trusted_proxy": trusted, **headers} if trusted else {}


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        message = f"{settings.host}:{settings.port} cannot be used ({error.strerror})."
        raise SystemExit(f"{message} Set PBXIM_HTTP to another host:port.") from error
    return listening


def tune_interpreter() -> None:
    """Sets Python for this product: many short-lived objects, and threads that wait for pages."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(*_GARBAGE)


def main() -> None:
    """Runs until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    tune_interpreter()
    settings = _settings()
    logging.set_up(settings.log_level, as_json=settings.log_json)
    failpoints.arm(settings.failpoint)
    stopping = threading.Event()
    _on_signals(stopping)
    embedded = Embedded(settings)
    try:
        embedded.start()
        _greet(embedded.settings, time.monotonic() - began)
        stopping.wait()
    except PbxError as error:
        raise SystemExit(f"pbxim: {error.detail} ({error.code})") from error
    finally:
        embedded.stop()


def _settings() -> Settings:
    for name in config.unknown(config.environment()):
        _say(f"pbxim: {name} is no setting; those that there are: {', '.join(config.known())}.")
    try:
        return config.load()
    except PbxError as error:
        raise SystemExit(f"pbxim: {error.detail}") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # To whoever started it.


def _on_signals(stopping: threading.Event) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _greet(settings: Settings, seconds: float) -> None:
    lines = [
        "",
        f"  PBX.IM Numbers ({settings.mode}) is ready after {seconds:.1f} s.",
        f"  Pages        {settings.public_url}/",
        f"  API docs     {settings.public_url}/docs",
    ]
    if settings.sandbox:
        lines.append(f"  Signing in   see {settings.data / 'demo.json'} (also: pbxim demo)")
    _say("\n".join([*lines, "  Ctrl-C ends it.", ""]))


if __name__ == "__main__":
    main()

"""Everything in one process: ``make run``. The first minute of the product.

Ordinary threads, three SQLite files, the payment sandbox as a child. Ctrl-C ends it within two
seconds; a kill -9 at any point loses nothing (tests/faults).
"""

from __future__ import annotations

import sys
import threading
import time

from deploy.assembly import Assembly, assemble
from deploy.demo import prepare_demo, refuse_demo
from deploy.ground import all_specs, make_folder
from deploy.interpreter import tune_interpreter
from deploy.metrics import Calls, Measured, of_runtime, together
from deploy.payment_sandbox.process import SandboxProcess
from deploy.payments import start_payments
from deploy.processes import told_to_stop, wait_for
from deploy.web import Web, start_mails, start_renewing
from services import gateway
from services.gateway import idempotency
from services.gateway.app import create_app
from services.gateway.surroundings import metrics_of
from shared import config, failpoints, logging, otlp
from shared.config import Settings
from shared.errors import PbxError
from shared.live import BILLING, require

_log = logging.logger("embedded")


class Embedded:
    """The running product. ``start`` returns when it answers; ``stop`` leaves nothing behind."""

    def __init__(self, settings: Settings, *, demo: bool = True) -> None:
        self.settings = settings
        self._demo = demo
        self._child: SandboxProcess | None = None
        self._web: Web | None = None
        self._ending = threading.Event()
        self.assembly: Assembly | None = None

    def start(self) -> None:
        """Starts payments, services, gateway; loads the demo's stock on the first start."""
        make_folder(self.settings)
        self._web = Web(self.settings)
        self.settings, self._child = start_payments(self._web.settings)
        self.assembly = assemble(self.settings, (*all_specs(), gateway.spec()))
        self.assembly.start()
        calls = Calls("client")
        client = Measured(self.assembly.client, calls)
        app = create_app(self.assembly.runtime, client, self.assembly.status)
        metrics_of(app).also(together(calls.collect, *of_runtime(self.assembly.runtime)))
        if not self.settings.sandbox:
            refuse_demo(self.assembly.runtime.state)
        idempotency.give_up_running(self.assembly.runtime.state)
        self._web.serve(app)
        start_renewing(app, self._ending)
        start_mails(self.assembly.runtime, self._ending)
        if self._demo and self.settings.sandbox:
            prepare_demo(self.assembly.runtime, self.assembly.client)

    def stop(self) -> None:
        """Ends everything that was started, in the other order."""
        self._ending.set()
        if self._web is not None:
            self._web.stop()
        if self.assembly is not None:
            self.assembly.stop(0.5)
        if self._child is not None:
            self._child.stop()


def main() -> None:
    """Runs until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    tune_interpreter()
    settings = _settings()
    logging.set_up(settings.log_level, as_json=settings.log_json)
    otlp.start(settings.otlp, "embedded")
    failpoints.arm(settings.failpoint)
    stopping = told_to_stop()
    embedded = Embedded(settings)
    try:
        embedded.start()
        _greet(embedded.settings, time.monotonic() - began)
        wait_for(stopping)
    except PbxError as error:
        raise SystemExit(f"pbxim: {error.detail} ({error.code})") from error
    finally:
        embedded.stop()


def _settings() -> Settings:
    for name in config.unknown(config.environment()):
        _say(f"pbxim: {name} is no setting; those that there are: {', '.join(config.known())}.")
    try:
        settings = config.load()
        require(settings, BILLING)
    except PbxError as error:
        raise SystemExit(f"pbxim: {error.detail}") from error
    return settings


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # To whoever started it.


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

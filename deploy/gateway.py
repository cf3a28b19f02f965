"""The gateway as a process of its own: ``python -m deploy.gateway``. Several may run beside each
other behind a load balancer: sessions, keys and answers lie in the stores' database.

It calls the services over RabbitMQ and hears from their runners how far the read models are.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from deploy.demo import prepare_demo, refuse_demo
from deploy.ground import Ground, all_specs
from deploy.health import Health, start_health
from deploy.interpreter import tune_interpreter
from deploy.metrics import Calls, LogEvents, Measured, together
from deploy.processes import settings_of, until_told, wait_for, when_there
from deploy.progress import HeardProgress
from deploy.rpc_client import RpcClient
from deploy.web import Web, start_mails, start_renewing
from services.gateway.app import create_app
from services.gateway.surroundings import metrics_of
from shared import logging
from shared.clock import MachineClock
from shared.config import Settings
from shared.eventlog import EventLog
from shared.live import CARD_FIELDS, require
from shared.runtime import Runtime
from shared.spec import ServiceSpec

_log = logging.logger("gateway")
_NAME = "gateway"
_LINKS = 24  # RPC calls under way at once; a link costs the broker a connection.


class Gateway:
    """Ground, client and server. ``start`` returns when it answers."""

    def __init__(self, settings: Settings) -> None:
        self._web = Web(settings)
        self.settings = self._web.settings
        self._progress = HeardProgress()
        self._client = RpcClient(self.settings.amqp or "", size=_LINKS)
        self._specs: tuple[ServiceSpec, ...] = all_specs()
        self._ground: Ground | None = None
        self._health: Health | None = None

    def start(self, stopping: threading.Event) -> None:
        """Waits for the servers, then answers; in sandbox mode prepares the demo."""
        ground = self._ground = when_there(self._make_ground, stopping)
        if ground is None:
            return
        runtime = ground.runtime(_NAME)
        services = [spec.name for spec in self._specs]
        self._progress.listen(self.settings.database or "", ground.clock, services)
        if not self.settings.sandbox:
            refuse_demo(runtime.state)
        calls, status = Calls("client"), partial(self.status, ground.log)
        app = create_app(runtime, Measured(self._client, calls), status)
        metrics_of(app).also(together(calls.collect, LogEvents(ground.log).collect))
        self._health = start_health(self.settings, status, None, _NAME)
        self._web.serve(app)
        start_renewing(app, stopping)
        start_mails(runtime, stopping)
        _log.info("gateway_listening", url=self.settings.base_url)
        if self.settings.sandbox:
            self._prepare_demo(runtime, stopping)

    def status(self, log: EventLog) -> dict[str, Any]:
        """For ``/readyz``: how far every consumer of every runner is, as far as they are heard."""
        head = log.head()
        failures = self._progress.failures()
        consumers = {
            name: {"position": at, "lag": max(0, head - at), "failure": failures.get(name)}
            for name, at in sorted(self._progress.positions().items())
        }
        silent = self._progress.silent(spec.name for spec in self._specs)
        return {
            "mode": self.settings.mode,
            "ready": not failures and not silent,
            "storage": "ok",
            "head": head,
            "log_id": log.log_id,
            "silent_runners": silent,
            "consumers": consumers,
        }

    def stop(self) -> None:
        """Ends it."""
        self._web.stop()
        if self._health is not None:
            self._health.close()
        self._progress.close()
        self._client.close()
        if self._ground is not None:
            self._ground.close()

    def _make_ground(self) -> Ground:
        return Ground(self.settings, self._specs, MachineClock(), self._progress)

    def _prepare_demo(self, runtime: Runtime, stopping: threading.Event) -> None:
        when_there(lambda: prepare_demo(runtime, self._client), stopping)
        _log.info("demo_ready", signing_in=str(self.settings.data / "demo.json"))


def _run(stopping: threading.Event) -> None:
    tune_interpreter()
    settings = settings_of("the gateway", "database", "amqp")
    require(settings, CARD_FIELDS)
    gateway = Gateway(settings)
    try:
        gateway.start(stopping)
        wait_for(stopping)
    finally:
        gateway.stop()


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    until_told(_run, _NAME)


if __name__ == "__main__":
    main()

"""Whether this process lives and is ready, and what it counts: a small server beside its work.

``/livez``, ``/readyz`` and ``/metrics`` on ``PBXIM_HEALTH=host:port``. It needs nothing but threads
and sockets, so it runs in plain processes and, as green threads, in patched ones (nameko). Whoever
starts a process calls ``start_health``; without the setting that does nothing.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from deploy.metrics import Collect
from shared import logging, metrics
from shared.config import Settings
from shared.errors import PbxError
from shared.refusals import refusal

Status = Callable[[], dict[str, Any]]
_log = logging.logger("health")
_STUCK_SECONDS = 60.0  # The relay may wait half a minute for RabbitMQ's confirms.
_AT_ONCE = 8
_PATIENCE_SECONDS = 5
_Answer = tuple[HTTPStatus, str, bytes]
_JSON = "application/json"


class Health:
    """What the process says of itself. ``port`` is where it listens, 0 where it does not.

    ``status`` answers ``{"ready": bool, ...}`` (as ``Assembly.status``) and may raise: then the
    process is not ready. ``collect`` adds metrics to those that ``shared.metrics`` makes of it.
    """

    def __init__(self, mode: str, status: Status, collect: Collect | None, name: str) -> None:
        self.port = 0
        self._mode = mode
        self._status = status
        self._collect = collect or (lambda: ())
        self._name = name
        self._started = time.monotonic()
        self._beaten: float | None = None
        self._process = metrics.Process()
        self._socket: socket.socket | None = None

    def beat(self) -> None:
        """The main loop still turns. Who has called this once has to go on: after a minute without
        it ``/livez`` answers 503. A process without a loop never calls it and always lives."""
        self._beaten = time.monotonic()

    def livez(self) -> tuple[HTTPStatus, dict[str, Any]]:
        """Whether the main loop turns."""
        silent = 0.0 if self._beaten is None else time.monotonic() - self._beaten
        if silent <= _STUCK_SECONDS:
            return HTTPStatus.OK, {"status": "ok", "process": self._name}
        about = {"status": "stuck", "process": self._name, "silent_seconds": round(silent, 1)}
        return HTTPStatus.SERVICE_UNAVAILABLE, about

    def readyz(self) -> tuple[HTTPStatus, dict[str, Any]]:
        """Whether the process can do its work, and what is wrong if it cannot."""
        found = self._asked()
        ready = bool(found.get("ready", True))
        word = "ready" if ready else "not_ready"
        about = {"process": self._name, "mode": self._mode, **found, "status": word}
        return HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, about

    def metrics(self) -> bytes:
        """All metrics of the process, in Prometheus' text format."""
        uptime = time.monotonic() - self._started
        own = metrics.of_status(self._asked(), uptime)
        return metrics.text(own, metrics.tried(self._collect), self._process.collect())

    def listen(self, host: str, port: int) -> None:
        """Starts to answer. Raises ``setting_invalid`` where the address cannot be used."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            listening.close()
            detail = f"PBXIM_HEALTH: {host}:{port} cannot be used ({error.strerror})."
            raise refusal("setting_invalid", detail, param="PBXIM_HEALTH") from error
        listening.listen(_AT_ONCE)
        self._socket, self.port = listening, listening.getsockname()[1]
        threading.Thread(target=self._serve, args=(listening,), name="health", daemon=True).start()
        _log.info("health_listening", process=self._name, host=host, port=self.port)

    def close(self) -> None:
        """Answers no more."""
        listening, self._socket, self.port = self._socket, None, 0
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # Wakes the thread that waits in accept.
            listening.close()

    def _asked(self) -> dict[str, Any]:
        try:
            return self._status()
        except PbxError as error:
            return {"ready": False, "failure": error.code, "detail": error.detail}
        except Exception as error:  # noqa: BLE001  # A question about the state may not end anything.
            _log.warning("health_status_failed", error=type(error).__name__)
            return {"ready": False, "failure": type(error).__name__}

    def _serve(self, listening: socket.socket) -> None:
        # Not socketserver: its selector does not wait green in a patched process.
        places = threading.BoundedSemaphore(_AT_ONCE)
        while self._socket is listening:
            try:
                link, peer = listening.accept()
            except OSError:
                return
            if not places.acquire(blocking=False):
                link.close()
                continue
            threading.Thread(target=self._answer, args=(link, peer, places), daemon=True).start()

    def _answer(self, link: socket.socket, peer: Any, places: threading.BoundedSemaphore) -> None:
        try:
            with contextlib.suppress(OSError):
                _Handler(link, peer, self)  # type: ignore[arg-type]  # Its server is us.
        finally:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
            places.release()

    def answer(self, path: str) -> _Answer:
        """What is found at a path."""
        if path == "/livez":
            return _as_json(*self.livez())
        if path == "/readyz":
            return _as_json(*self.readyz())
        if path == "/metrics":
            return HTTPStatus.OK, metrics.CONTENT_TYPE, self.metrics()
        return _as_json(HTTPStatus.NOT_FOUND, {"there_is": ["/livez", "/readyz", "/metrics"]})


class _Handler(BaseHTTPRequestHandler):
    """One request of one link."""

    timeout = _PATIENCE_SECONDS
    server: Any

    def do_GET(self) -> None:  # http.server looks for this name.
        """Answers and closes."""
        status, kind, body = self.server.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Says no more of what answers than it must."""
        return "pbxim"

    def log_message(self, *_about: Any) -> None:
        """Somebody asks every few seconds: no news."""


def _as_json(status: HTTPStatus, about: dict[str, Any]) -> _Answer:
    return status, _JSON, json.dumps(about, default=str, sort_keys=True).encode() + b"\n"


def start_health(
    settings: Settings, status: Status, collect: Collect | None = None, name: str = ""
) -> Health:
    """The health of this process, answering on ``settings.health``; without that setting it only
    listens to ``beat``. Raises ``setting_invalid`` where the address cannot be used."""
    health = Health(settings.mode, status, collect, name)
    if settings.health is not None:
        health.listen(*settings.health)
    return health

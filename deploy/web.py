"""The gateway's HTTP server: waitress in a thread, on a socket that is bound before anything else,
so that a taken port is said at once."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from typing import Any

from flask import Flask
from waitress import create_server

from services.gateway.app import key_wrapper
from services.gateway.mail_sending import Postman
from services.gateway.surroundings import surroundings_of
from shared import logging
from shared.config import Settings
from shared.runtime import Runtime

_log = logging.logger("gateway")
_THREADS = 64  # 16 waiters, 32 event streams, and room for everybody else.
_MOST_BODY_BYTES = 64 * 1024 * 1024  # The application itself refuses less, readably.


class Web:
    """Bound when it is made; ``settings`` name the port then, also where any was asked for."""

    def __init__(self, settings: Settings) -> None:
        self._listening = _listen(settings)
        settings = replace(settings, port=self._listening.getsockname()[1])
        if settings.public_url.endswith(":0"):
            settings = replace(settings, public_url=settings.base_url)
        self.settings = settings
        self._server: Any = None

    def serve(self, app: Flask) -> None:
        """Begins to answer."""
        self._server = create_server(
            app,
            sockets=[self._listening],
            threads=_THREADS,
            clear_untrusted_proxy_headers=True,
            **_proxy(self.settings.trusted_proxy),
            max_request_body_size=_MOST_BODY_BYTES,
        )
        threading.Thread(target=self._serve, name="http", daemon=True).start()

    def stop(self) -> None:
        """Takes no more requests."""
        if self._server is not None:
            self._server.close()
        self._listening.close()

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


def start_renewing(app: Flask, ending: threading.Event) -> None:
    """Begins to say of long requests that they still run."""
    found = surroundings_of(app)
    threading.Thread(
        target=found.renewer.run, args=(ending, found.now), name="renewing", daemon=True
    ).start()


def start_mails(runtime: Runtime, ending: threading.Event) -> None:
    """Begins to send what the gateway has to send, if there is somebody to send it through."""
    settings = runtime.settings
    if settings.smtp is None:
        if not settings.sandbox:  # There, staff reads them in the outbox.
            _log.warning("mails_are_not_sent", next_step="set PBXIM_SMTP")
        return
    postman = Postman(runtime.state, key_wrapper(runtime), settings, runtime.machine)
    threading.Thread(target=postman.run, args=(ending,), name="mail", daemon=True).start()

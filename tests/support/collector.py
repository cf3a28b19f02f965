"""A tiny OpenTelemetry collector: OTLP over HTTP, in JSON."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector:
    """Keeps the spans it is sent."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.services: set[str] = set()
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces" and collector.status == 200:
                    collector.take(json.loads(body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_about: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, sent: dict[str, Any]) -> None:
        for resource in sent["resourceSpans"]:
            (name,) = resource["resource"]["attributes"]
            self.services.add(name["value"]["stringValue"])
            for scope in resource["scopeSpans"]:
                self.spans += scope["spans"]

    def trace(self, trace: str) -> dict[str, dict[str, Any]]:
        """The spans of one trace, by their names."""
        return {one["name"]: one for one in self.spans if one["traceId"] == trace}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

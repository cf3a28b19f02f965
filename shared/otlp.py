"""Sends spans to a collector: OTLP over HTTP in JSON, ``POST /v1/traces``, by a thread of its own.

A collector that is away costs nothing but spans: they are kept up to a number, the oldest dropped.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import threading
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from shared import logging, tracing
from shared.tracing import Span

_log = logging.logger("traces")
_MOST_KEPT = 10_000
_AT_ONCE = 500
_EVERY_SECONDS = 1.0
_PATIENCE_SECONDS = 3.0
_KINDS = {"internal": 1, "server": 2, "client": 3}
_OK, _ERROR = 1, 2


class Exporter:
    """Keeps spans and sends them about once a second. ``name`` is the process's."""

    def __init__(self, address: str, name: str) -> None:
        self._address = urlsplit(address)
        self._name = name
        self._spans: deque[Span] = deque(maxlen=_MOST_KEPT)
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._silent = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        """From now on all spans of this process go there, the last ones at its end."""
        self._thread.start()
        tracing.set_up(self._spans.append)
        atexit.register(self.close)

    def close(self) -> None:
        """Sends what is left, once, and takes no more."""
        if not self._ended.is_set():
            self._ended.set()
            tracing.set_up(None)
            self.send()

    def send(self) -> None:
        """Sends what there is; what the collector does not take is lost, and said once."""
        with self._sending:
            while batch := self._taken():
                try:
                    self._post(batch)
                    self._silent = False
                except (OSError, HTTPException) as error:
                    self._say(type(error).__name__)
                    return

    def _taken(self) -> list[Span]:
        found: list[Span] = []
        with contextlib.suppress(IndexError):
            while len(found) < _AT_ONCE:
                found.append(self._spans.popleft())
        return found

    def _post(self, batch: list[Span]) -> None:
        secure = self._address.scheme.lower() == "https"
        kind = HTTPSConnection if secure else HTTPConnection
        connection = kind(self._address.netloc, timeout=_PATIENCE_SECONDS)
        try:
            body = json.dumps(encoded(self._name, batch)).encode()
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status >= 300:  # noqa: PLR2004  # HTTP: not taken.
            raise HTTPException(answer.status)

    def _say(self, error: str) -> None:
        if not self._silent:
            _log.warning("traces_are_lost", error=error)
        self._silent = True

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self.send()


def start(address: str | None, name: str) -> None:
    """Begins to trace if there is an address."""
    if address is not None:
        Exporter(address, name).start()


def encoded(name: str, spans: list[Span]) -> dict[str, Any]:
    """An ``ExportTraceServiceRequest`` in OTLP's JSON."""
    resource = {"attributes": [_attribute("service.name", f"pbxim-{name}")]}
    scope = {"scope": {"name": "pbxim"}, "spans": [_span(one) for one in spans]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace,
        "spanId": span.id,
        "parentSpanId": span.parent,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.began),
        "endTimeUnixNano": str(span.ended),
        "attributes": [_attribute(key, found) for key, found in span.attributes.items()],
        "status": {"code": _ERROR if span.failed else _OK},
    }


def _attribute(key: str, found: str | int) -> dict[str, Any]:
    kind = "intValue" if isinstance(found, int) else "stringValue"
    return {"key": key, "value": {kind: str(found)}}

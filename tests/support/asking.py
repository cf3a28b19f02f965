"""Asks a process's health, and waits until it says what is hoped for."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

_PATIENCE_SECONDS = 30.0


def fetch(port: int, path: str) -> tuple[int, str]:
    """Status and text of an answer; status 0 where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def asked(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """Status and object of an answer."""
    status, text = fetch(port, path)
    return status, json.loads(text) if status else {}


def sample(port: int, series: str) -> float | None:
    """The value of one series at /metrics, by its name with its labels."""
    found = fetch(port, "/metrics")[1].splitlines()
    values = [line.rpartition(" ")[2] for line in found if line.rpartition(" ")[0] == series]
    return float(values[0]) if values else None


def until(ask: Callable[[], Any], hoped: Callable[[Any], bool]) -> Any:
    """The first answer that is hoped for."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not hoped(answer := ask()):
        assert time.monotonic() < end, f"still {answer!r}"
        time.sleep(0.05)  # A process of its own says nothing else.
    return answer

"""``deploy/compose.yaml`` as an engine reads it: anchors, merges and interpolations resolved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "deploy/compose.yaml"
# What a person has to say, or may.
SAID = {
    "NUMBERS_PUBLIC_URL": "https://numbers.example.com",
    "NUMBERS_SUPPORT_ADDRESS": "help@example.com",
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
# Not ours, and run by their own images.
SERVERS = {"postgres", "rabbitmq", "kurrentdb"}


def load() -> dict[str, Any]:
    """The whole file. Raises ``AssertionError`` for a variable that nobody says."""
    found: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(_said, FILE.read_text()))
    return found


def services() -> dict[str, dict[str, Any]]:
    """The services by name."""
    found: dict[str, dict[str, Any]] = load()["services"]
    return found


def processes() -> dict[str, dict[str, Any]]:
    """Those that are processes of the product."""
    return {name: one for name, one in services().items() if name not in SERVERS}


def secret_names(service: dict[str, Any]) -> list[str]:
    """The secrets that a service mounts."""
    mounted = service.get("secrets", [])
    return [one if isinstance(one, str) else one["source"] for one in mounted]


def _said(found: re.Match[str]) -> str:
    name, kind, rest = found.groups()
    if name in SAID:
        return SAID[name]
    assert kind == "-", f"{name} has no default"
    return rest

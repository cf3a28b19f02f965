"""The payment provider of an embedded sandbox: our own sandbox as a child process.

Its keys are made once and kept beside its book, so that webhooks of an earlier run still verify.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace
from pathlib import Path

from deploy.payment_sandbox.process import SandboxProcess, start_sandbox
from shared.config import Settings

_NAMES = {"secret_key": "sk_test_", "publishable_key": "pk_test_", "webhook_secret": "whsec_"}  # nosec B105


def start_payments(settings: Settings) -> tuple[Settings, SandboxProcess | None]:
    """The settings with a provider in them, and the child that was started for it, if any."""
    if not settings.sandbox or settings.stripe_secret_key:
        return settings, None
    folder = settings.data / "payment_sandbox"
    keys = keys_of(folder)
    child = start_sandbox(
        folder,
        secret_key=keys["secret_key"],
        publishable_key=keys["publishable_key"],
        webhook_url=f"{settings.base_url}/webhooks/stripe",
        webhook_secret=keys["webhook_secret"],
        embedders=(settings.base_url, settings.public_url),
    )
    return _with(settings, keys, child.base_url), child


def _with(settings: Settings, keys: dict[str, str], base_url: str) -> Settings:
    return replace(
        settings,
        stripe_secret_key=keys["secret_key"],
        stripe_publishable_key=keys["publishable_key"],
        stripe_webhook_secret=keys["webhook_secret"],
        stripe_api_base=base_url,
        stripe_script_url=f"{base_url}/v3/",
    )


def keys_of(folder: Path) -> dict[str, str]:
    """The sandbox's keys: made at the first time."""
    path = folder / "keys.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = {name: prefix + secrets.token_hex(16) for name, prefix in _NAMES.items()}
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(made, file)
    found: dict[str, str] = json.loads(path.read_text())
    return found

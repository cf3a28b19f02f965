"""What one sandbox is started with; a live key is refused before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_EMBEDDERS = ("http://127.0.0.1:*", "http://localhost:*")


@dataclass(frozen=True)
class Settings:
    """Keys, folder and webhook receiver; raises ValueError for a key that is not a test key.

    `embedders` are the origins whose pages may show the card form (CSP frame-ancestors).
    """

    data: Path
    secret_key: str
    publishable_key: str
    webhook_url: str | None = None
    webhook_secret: str | None = None
    embedders: tuple[str, ...] = DEFAULT_EMBEDDERS

    def __post_init__(self) -> None:
        _test_key("secret key", self.secret_key, "sk_test_")
        _test_key("publishable key", self.publishable_key, "pk_test_")
        if self.webhook_url:
            if urlsplit(self.webhook_url).scheme not in {"http", "https"}:
                message = "The webhook URL must begin with http:// or https://."
                raise ValueError(message)
            if not self.webhook_secret:
                message = "A webhook URL needs a webhook secret."
                raise ValueError(message)


def _test_key(name: str, value: str, prefix: str) -> None:
    if not value.startswith(prefix) or len(value) <= len(prefix):
        # The value itself stays out of the message: it may be a live key.
        message = f"The {name} of the payment sandbox must begin with {prefix} (no live keys)."
        raise ValueError(message)

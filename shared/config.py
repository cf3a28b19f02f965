"""The only file that reads the environment. One typed object, handed down from the start.

Every wrong setting is named with what is allowed. ``docs/reference/settings.md`` lists them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from shared import secret_files
from shared.addresses import KURRENTDB, POSTGRESQL, without_password
from shared.live import check_live
from shared.refusals import setting_invalid

Mode = Literal["sandbox", "live"]
_LEVELS = ("debug", "info", "warning", "error", "critical")
# What a text has to look like, and how that is said.
_URL = (r"(?i:https?)://[^/?#\s]+/?", "as in https://numbers.example.com, without a path")
_RATE = (
    r"[1-9]\d{0,8} per (second|minute|hour)",
    "as in 200 per second; or minute, hour",
)
_SMTP = (
    r"smtps?://([^\s:@/]+:[^\s:@/]+@)?[^\s:@/]+(:\d{1,5})?",
    "as in smtp://user:password@mail.example.com:587, or smtps://…; % escapes in user and password",
)
_FAILPOINT = (
    r"(record|orders):.+|kill:\d{1,9}(@[a-z.]+)?",
    "record:FILE, kill:N, kill:N@PLACE or orders:FOLDER",
)
_SUPPORT = "support@example.com"
_AMQP = r"amqps?://[^/\s]+(/\S*)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an installation can set. Durations are in seconds unless the name says otherwise."""

    mode: Mode
    data: Path
    log: str
    database: str | None
    host: str
    port: int
    public_url: str
    key_file: Path
    stripe_secret_key: str | None
    stripe_publishable_key: str | None
    stripe_webhook_secret: str | None
    stripe_api_base: str | None
    stripe_script_url: str | None
    stripe_timeout: float
    support_address: str
    smtp: str | None
    mail_from: str
    log_level: str
    log_json: bool | None
    hold_minutes: int
    numbers_per_city: int
    numbers_held: int
    quarantine_days: int
    rate_limit: str
    trusted_proxy: str | None
    amqp: str | None
    process: str
    health: tuple[str, int] | None
    otlp: str | None
    failpoint: str | None

    @property
    def sandbox(self) -> bool:
        """Whether money and numbers are play ones."""
        return self.mode == "sandbox"

    @property
    def base_url(self) -> str:
        """Where the gateway listens."""
        return _http(self.host, self.port)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads ``PBXIM_*``. Raises ``setting_invalid`` naming the setting and what is allowed."""
    return _checked(_read(_Reader(os.environ if environ is None else environ)))


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Names that look like settings and are none: somebody expects something of them."""
    ours = {n for n in environ if n.startswith("PBXIM_") and not n.startswith("PBXIM_TEST_")}
    return sorted(ours.difference(known()))


def known() -> list[str]:
    """The names of all settings."""
    reader = _Reader({"PBXIM_MODE": "sandbox"})
    _read(reader)
    return sorted(reader.asked)


def environment() -> dict[str, str]:
    """The process's environment, for those who add a default to it."""
    return dict(os.environ)


class _Reader:
    """Takes settings out of a mapping, one kind of value per method."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.asked: set[str] = set()

    def text(self, name: str, default: str) -> str:
        self.asked.add(name)
        return self._environ.get(name) or default

    def maybe(self, name: str) -> str | None:
        return self.text(name, "") or None

    def secret(self, name: str, default: str = "") -> str:
        # In the environment or, for those who may not be shown there, in a file.
        path = self.text(f"{name}_FILE", "")
        found = self.text(name, "")
        if path and found:
            raise secret_files.given_twice(name)
        return secret_files.read(name, path) if path else found or default

    def form(self, name: str, default: str, pattern: str, allowed: str) -> str:
        found = self.text(name, default)
        if found and not re.fullmatch(pattern, found):
            raise setting_invalid(name, found, allowed)
        return found

    def secret_form(self, name: str, pattern: str, allowed: str) -> str | None:
        found = self.secret(name)
        if found and not re.fullmatch(pattern, found):
            raise setting_invalid(name, "of another form", allowed)  # It may hold a password.
        return found or None

    def choice(self, name: str, allowed: tuple[str, ...], default: str = "") -> Any:
        found = self.text(name, default)
        if found not in allowed:
            raise setting_invalid(name, found, "one of: " + ", ".join(allowed))
        return found

    def number(self, name: str, default: float, low: float, high: float) -> float:
        found = self.text(name, str(default))
        try:
            number = float(found)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise setting_invalid(name, found, f"a number from {low:g} to {high:g}")
        return number

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        found = self.text(name, str(default))
        if not (found.isascii() and found.isdecimal() and low <= int(found) <= high):
            raise setting_invalid(name, found, f"a whole number from {low} to {high}")
        return int(found)

    def flag(self, name: str) -> bool | None:
        found = self.maybe(name)
        if found is None:
            return None
        if found not in {"0", "1"}:
            raise setting_invalid(name, found, "0 or 1")
        return found == "1"

    def maybe_listen(self, name: str) -> tuple[str, int] | None:
        return self.listen(name, "") if self.maybe(name) else None

    def listen(self, name: str, default: str) -> tuple[str, int]:
        found = self.text(name, default)
        host, _, port = found.rpartition(":")
        numeric = port.isascii() and port.isdecimal()
        if not host or not numeric or int(port) > 65_535:  # noqa: PLR2004  # TCP.
            raise setting_invalid(name, found, "host:port, as in 127.0.0.1:8000")
        return host.strip("[]"), int(port)


def _http(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _read(env: _Reader) -> Settings:
    data = Path(env.text("PBXIM_DATA", "var"))
    host, port = env.listen("PBXIM_HTTP", "127.0.0.1:8000")
    return Settings(
        mode=env.choice("PBXIM_MODE", get_args(Mode)),
        data=data,
        log=_log(env, data),
        database=_database(env),
        host=host,
        port=port,
        public_url=env.form("PBXIM_PUBLIC_URL", _http(host, port), *_URL).rstrip("/"),
        key_file=Path(env.text("PBXIM_KEY_FILE", str(data / "master.key"))),
        stripe_secret_key=env.secret("PBXIM_STRIPE_SECRET_KEY") or None,
        stripe_publishable_key=env.secret("PBXIM_STRIPE_PUBLISHABLE_KEY") or None,
        stripe_webhook_secret=env.secret("PBXIM_STRIPE_WEBHOOK_SECRET") or None,
        stripe_api_base=env.maybe("PBXIM_STRIPE_API_BASE"),
        stripe_script_url=env.maybe("PBXIM_STRIPE_SCRIPT_URL"),
        stripe_timeout=env.number("PBXIM_STRIPE_TIMEOUT", 10, 0.1, 80),
        support_address=env.text("PBXIM_SUPPORT_ADDRESS", _SUPPORT),
        smtp=env.secret_form("PBXIM_SMTP", *_SMTP),
        mail_from=env.text("PBXIM_MAIL_FROM", env.text("PBXIM_SUPPORT_ADDRESS", _SUPPORT)),
        log_level=env.choice("PBXIM_LOG_LEVEL", _LEVELS, "info"),
        log_json=env.flag("PBXIM_LOG_JSON"),
        hold_minutes=env.whole("PBXIM_HOLD_MINUTES", 10, 1, 1440),
        numbers_per_city=env.whole("PBXIM_NUMBERS_PER_CITY", 10, 1, 10_000),
        numbers_held=env.whole("PBXIM_NUMBERS_HELD", 100, 1, 100_000),
        quarantine_days=env.whole("PBXIM_QUARANTINE_DAYS", 45, 0, 3650),
        rate_limit=env.form("PBXIM_RATE_LIMIT", "200 per second", *_RATE),
        trusted_proxy=env.maybe("PBXIM_TRUSTED_PROXY"),
        amqp=env.secret("PBXIM_AMQP") or None,
        process=env.text("PBXIM_PROCESS", ""),
        health=env.maybe_listen("PBXIM_HEALTH"),
        otlp=env.form("PBXIM_OTLP", "", *_URL).rstrip("/") or None,
        failpoint=env.form("PBXIM_FAILPOINT", "", *_FAILPOINT) or None,
    )


def _database(env: _Reader) -> str | None:
    found = env.secret("PBXIM_DATABASE") or None
    if found is not None and not re.fullmatch(POSTGRESQL, found):
        allowed = "nothing (files in PBXIM_DATA) or postgresql://user@host:port/database"
        raise setting_invalid("PBXIM_DATABASE", without_password(found), allowed)
    return found


def _log(env: _Reader, data: Path) -> str:
    here = f"sqlite:{data / 'log.db'}"
    found = env.secret("PBXIM_LOG", here)
    if found != here and not re.fullmatch(f"{POSTGRESQL}|{KURRENTDB}", found):
        allowed = f"{here}, postgresql://user@host:port/database or kurrentdb://host:port/name"
        raise setting_invalid("PBXIM_LOG", without_password(found), allowed)
    return found


def _checked(settings: Settings) -> Settings:
    key = settings.stripe_secret_key or ""
    if settings.sandbox and key and not key.startswith(("sk_test", "rk_test")):
        raise setting_invalid(
            "PBXIM_STRIPE_SECRET_KEY", "no test key", "a test key in sandbox mode"
        )
    if settings.sandbox and (settings.stripe_publishable_key or "").startswith("pk_live"):
        raise setting_invalid(
            "PBXIM_STRIPE_PUBLISHABLE_KEY", "a live key", "a test key in sandbox mode"
        )
    if settings.amqp is not None and not re.fullmatch(_AMQP, settings.amqp):
        # Not shown: it may hold a password.
        raise setting_invalid(
            "PBXIM_AMQP", "no address", "as in amqp://user:password@127.0.0.1:5672/"
        )
    if not settings.sandbox:
        check_live(settings)
    return settings

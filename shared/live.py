"""What an installation with real money refuses in its settings (docs/how-to/go-live.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.addresses import OURSELVES, in_the_clear, without_password
from shared.refusals import setting_invalid

if TYPE_CHECKING:
    from shared.config import Settings

_LIVE_KEY = "a live key in live mode"
_KEYS = {  # Without the second nobody could type a card, without the third anybody could ring.
    "stripe_secret_key": _LIVE_KEY,
    "stripe_publishable_key": _LIVE_KEY,
    "stripe_webhook_secret": "the endpoint's secret (whsec_…)",  # nosec B105  # Words about it.
}
BILLING = tuple(_KEYS)
CARD_FIELDS = ("stripe_publishable_key",)


def require(settings: Settings, keys: tuple[str, ...]) -> None:
    """Raises ``setting_invalid`` where a process of a live installation was not given a key that it
    needs. Each process asks for its own: those that never pay are given none."""
    for name in () if settings.sandbox else keys:
        if not getattr(settings, name):
            raise setting_invalid(f"PBXIM_{name.upper()}", "missing", _KEYS[name])


def check_live(settings: Settings) -> None:
    """Raises ``setting_invalid`` for what is a toy, or would be sent in the clear."""
    _check_keys(settings)
    if settings.failpoint is not None:
        raise setting_invalid("PBXIM_FAILPOINT", settings.failpoint, "nothing in live mode")
    broker = urlsplit(settings.amqp or "")
    if broker.scheme == "amqp" and broker.hostname not in OURSELVES:
        found = "a plain-text link to another host"
        raise setting_invalid("PBXIM_AMQP", found, "amqps:// in live mode")
    _check_encrypted("PBXIM_LOG", settings.log)
    _check_encrypted("PBXIM_DATABASE", settings.database or "")
    collector = urlsplit(settings.otlp or "")
    if collector.scheme == "http" and collector.hostname not in OURSELVES:
        allowed = "https:// for another host in live mode"
        raise setting_invalid("PBXIM_OTLP", settings.otlp or "", allowed)
    public = urlsplit(settings.public_url)
    if public.scheme != "https" and public.hostname not in OURSELVES:
        allowed = "an https:// address in live mode"
        raise setting_invalid("PBXIM_PUBLIC_URL", settings.public_url, allowed)


def _check_keys(settings: Settings) -> None:
    forms = {"stripe_secret_key": ("sk_live", "rk_live"), "stripe_publishable_key": ("pk_live",)}
    for name, beginnings in forms.items():
        given = getattr(settings, name)
        if given and not given.startswith(beginnings):
            raise setting_invalid(f"PBXIM_{name.upper()}", "no live key", _KEYS[name])
    for name in ("stripe_api_base", "stripe_script_url"):
        given = getattr(settings, name)
        if given is not None:
            raise setting_invalid(f"PBXIM_{name.upper()}", given, "nothing in live mode")


def _check_encrypted(name: str, address: str) -> None:
    if "://" in address and in_the_clear(address):
        found = without_password(address)
        said = "no tls=false" if address[0] == "k" else "sslmode=verify-full (or require)"
        raise setting_invalid(name, found, f"{said} for another host")

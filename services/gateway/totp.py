"""Time-based one-time passwords (RFC 6238): SHA-1, 30 seconds, 6 digits. Each code counts once."""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote

_SECONDS = 30
_DIGITS = 6
_SECRET_BYTES = 20  # RFC 4226 recommends 160 bits.


def new_secret() -> str:
    """A fresh secret in base 32, as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def uri(secret: str, email: str) -> str:
    """The address behind the QR code (Key URI Format of Google Authenticator)."""
    label = quote(f"PBX.IM:{email}")
    return (
        f"otpauth://totp/{label}?secret={secret}&issuer=PBX.IM&digits={_DIGITS}&period={_SECONDS}"
    )


def code(secret: str, counter: int) -> str:
    """The code of one 30-second step (RFC 4226, section 5.3)."""
    mac = hmac.digest(base64.b32decode(secret), counter.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number)[-_DIGITS:].zfill(_DIGITS)


def counter_of(secret: str, given: str, now: int) -> int | None:
    """The step of a code: this one or a neighbour, because clocks differ; else ``None``.

    Authenticators show six digits as ``123 456``, and so they are typed and pasted.
    """
    step, typed = now // _SECONDS, "".join(given.split())
    for counter in (step, step - 1, step + 1):
        if hmac.compare_digest(code(secret, counter).encode(), typed.encode()):
            return counter
    return None

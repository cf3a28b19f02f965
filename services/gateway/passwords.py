"""Passwords: argon2id with OWASP's parameters, at least 15 characters, none of the worn-out ones.

Length instead of composition rules: NIST SP 800-63B-4, section 3.1.1.2.
"""

from __future__ import annotations

import re
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.refusals import refusal

_KIBIBYTES = 19 * 1024
_AT_ONCE = 2
_WAIT_SECONDS = 10
_SHORTEST = 15
_LONGEST = 512

_COMMON = frozenset(
    {
        "111222333444555",
        "123456789012345",
        "1234567890123456",
        "12345678901234567890",
        "1q2w3e4r5t6y7u8i",
        "1qaz2wsx3edc4rfv",
        "987654321098765",
        "abcdefghijklmno",
        "abcdefghijklmnop",
        "abcdefghijklmnopqrstuvwxyz",
        "administrator123",
        "administratoradministrator",
        "asdfghjklasdfghjkl",
        "changemechangeme",
        "correcthorsebatterystaple",
        "iloveyouiloveyou",
        "letmeinletmeinletmein",
        "mysecretpassword",
        "password1234567",
        "password12345678",
        "passwordpassword",
        "passwordpassword1",
        "passwordpasswordpassword",
        "qazwsxedcrfvtgbyhn",
        "qwerty1234567890",
        "qwertyqwertyqwerty",
        "qwertyuiopasdfgh",
        "qwertyuiopasdfghjkl",
        "supersecretpassword",
        "thisismypassword",
        "trustno1trustno1",
        "welcomewelcome1",
        "zxcvbnmzxcvbnmzx",
    }
)


def hashing_places() -> threading.BoundedSemaphore:
    """Places for hashes at once: each takes 19 MiB, and a flood of logins must not take all."""
    return threading.BoundedSemaphore(_AT_ONCE)


def check_rule(password: str, *about_the_user: str) -> None:
    """Raises ``password_too_weak`` unless the password is long and not easy to guess."""
    text = _normal(password)
    if not _SHORTEST <= len(text) <= _LONGEST:
        detail = f"A password has {_SHORTEST} to {_LONGEST} characters."
        raise refusal("password_too_weak", detail, param="password")
    plain = re.sub(r"[\W_]", "", text.casefold())
    known = {re.sub(r"[\W_]", "", word.casefold()) for word in about_the_user}
    if plain in _COMMON or plain in known or _repeats(plain):
        detail = "This password is among the first that anybody would try."
        raise refusal("password_too_weak", detail, param="password")


def hash_password(password: str, places: threading.BoundedSemaphore) -> str:
    """The argon2id hash, with salt and parameters in it. Raises ``busy``."""
    with _Place(places):
        return _hasher().hash(_normal(password))


def fits(stored: str | None, password: str, places: threading.BoundedSemaphore) -> bool:
    """Whether it is the password. With no stored hash it takes as long, and says no."""
    with _Place(places):
        try:
            _hasher().verify(stored or _NOBODYS, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


# Of a random password that is stored nowhere; made with the parameters above.
_NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$3/38Ql46JAsMk8dNvSSSQA"
    "$fXxpQ7+JJwf7DZFo+BsbI6e5t4UkJB0i4My6rRWjYLg"
)


class _Place:
    """One of the places for hashing, for as long as one hash takes."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places

    def __enter__(self) -> None:
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            raise refusal("busy", "Too many people are signing in at this moment.", retry_after=5)

    def __exit__(self, *_: object) -> None:
        self._places.release()


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=2, memory_cost=_KIBIBYTES, parallelism=1)


def _normal(password: str) -> str:
    # The same characters typed on two keyboards may arrive composed differently.
    return unicodedata.normalize("NFKC", password)


def _repeats(text: str) -> bool:
    """Whether it is a few characters again and again: ``aaaaaaaaaaaaaaa``, ``abcabcabcabcabc``."""
    return bool(re.fullmatch(r"(.{1,4})\1+.{0,3}", text))

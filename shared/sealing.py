"""Personal data at rest: AES-256-GCM with one key per subject (architecture section 5).

The key of a subject lies wrapped in the ``state`` store; the wrapping key lies in the file named by
``PBXIM_KEY_FILE``. Destroying a subject's key erases the person everywhere and leaves every digest
valid, because digests cover the ciphertext. Additional data is event id + field, so that ciphertext
cannot be moved to another place.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.messages import ERASED, Erased
from shared.refusals import refusal

_NONCE = 12
_KEY = 32
_OTHERS = 0o077


class Keyring(Protocol):
    """Keys by subject."""

    def key(self, subject: str) -> bytes | None:
        """The subject's key, or ``None`` when it never existed or was destroyed."""

    def make_key(self, subject: str) -> bytes | None:
        """The subject's key, made if there is none; ``None`` when it was destroyed for good."""


def seal(ring: Keyring, subject: str, text: str | Erased, context: bytes) -> str:
    """Text → base64 of nonce and ciphertext. Of an erased subject nothing is stored at all."""
    key = ring.make_key(subject)
    if key is None or isinstance(text, Erased):
        return ""
    nonce = os.urandom(_NONCE)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), context)).decode()


def unseal(ring: Keyring, subject: str, token: str, context: bytes) -> str | Erased:
    """What ``seal`` made → text, or ``Erased`` when the key is gone."""
    key = ring.key(subject)
    if key is None or not token:
        return ERASED
    raw = base64.b64decode(token)
    try:
        return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], context).decode()
    except InvalidTag:
        return ERASED


class Wrapper:
    """Wraps the subjects' keys with the installation's key."""

    def __init__(self, master: bytes) -> None:
        self._aead = AESGCM(master)

    def wrap(self, subject: str, key: bytes) -> bytes:
        """The key, encrypted for storage."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, key, subject.encode())

    def unwrap(self, subject: str, wrapped: bytes) -> bytes:
        """The key again. Raises ``setting_invalid`` when the key file is another one."""
        try:
            return self._aead.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], subject.encode())
        except InvalidTag:
            detail = "PBXIM_KEY_FILE is not the key file this data was made with."
            raise refusal("setting_invalid", detail, param="PBXIM_KEY_FILE") from None


def new_key() -> bytes:
    """A fresh AES-256 key."""
    return AESGCM.generate_key(bit_length=8 * _KEY)


def load_key_file(path: Path, *, create: bool) -> bytes:
    """The wrapping key. ``create`` makes the file (mode 0600) where there is none; otherwise a
    missing file, one of the wrong size, or one that others can read is ``setting_invalid``."""
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
    return _checked(path)


def _make(path: Path) -> None:
    # Processes that start together may all make one. The file is there with all of its content or
    # not at all, and the first one stays: a link never replaces what there is.
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # Mode 0600.
        file.write(base64.b64encode(new_key()))
        file.flush()
        os.fsync(file.fileno())  # A power cut that takes the key takes all personal data.
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _checked(path: Path) -> bytes:
    name = "PBXIM_KEY_FILE"
    if not path.exists():
        raise refusal("setting_invalid", f"{name}: there is no file {path}.", param=name)
    if path.stat().st_mode & _OTHERS:
        raise refusal("setting_invalid", f"{name}: others can read {path}; chmod 600.", param=name)
    key = _decoded(path.read_bytes())
    if len(key) != _KEY:
        detail = f"{name}: {path} does not hold 32 bytes in base64."
        raise refusal("setting_invalid", detail, param=name)
    return key


def _decoded(raw: bytes) -> bytes:
    try:
        return base64.b64decode(raw.strip(), validate=True)
    except ValueError:
        return b""

"""Ids. Those of new things derive from the command's id, so that a retry builds the same thing."""

from __future__ import annotations

import base64
import uuid

_LENGTH = 20  # 100 bits of a SHA-1 based UUID, in base 32.


def derived_id(prefix: str, command_id: uuid.UUID, part: str | int = 0) -> str:
    """``ord_…``: the same for the same command id and part, on every machine."""
    raw = uuid.uuid5(command_id, f"{prefix}:{part}").bytes
    return f"{prefix}_{base64.b32encode(raw).decode().lower()[:_LENGTH]}"


def random_id(prefix: str) -> str:
    """An id that nobody can guess or derive (API keys' ids, users, sessions)."""
    return f"{prefix}_{base64.b32encode(uuid.uuid4().bytes).decode().lower()[:_LENGTH]}"


def event_id_text(event_id: bytes) -> str:
    """The public form of an event's id: ``evt_`` and 32 hexadecimal digits."""
    return f"evt_{event_id.hex()}"


NAMESPACE = uuid.UUID("6f0f8cbe-59b0-5e0c-9d36-1d4c8b1a7c10")


def command_id(*parts: str) -> uuid.UUID:
    """uuid5 over the parts: what makes two requests the same command (architecture section 6)."""
    return uuid.uuid5(NAMESPACE, "\x1f".join(parts))

"""Messages ↔ stored bytes: canonical JSON, sealed fields, versions and upcasters.

Canonical means: keys sorted, no spaces, UTF-8. The bytes are stored as they are and never parsed by
the database, because the digest covers them.
"""

from __future__ import annotations

import dataclasses
import functools
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, get_type_hints

import msgspec

from shared.messages import EVENTS, EventType, event_type
from shared.refusals import refusal
from shared.sealing import Keyring, seal, unseal


class Meta(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is known about an event besides what it says. Times are business time, UTC."""

    command_id: uuid.UUID
    correlation_id: str
    actor: str
    occurred_at: datetime
    causation_id: str = ""
    subjects: tuple[str, ...] = ()
    traceparent: str = ""


_canonical = msgspec.json.Encoder(order="sorted")
_meta_decoder = msgspec.json.Decoder(Meta)
_plain_decoder = msgspec.json.Decoder(dict[str, Any])


def encode_meta(meta: Meta) -> bytes:
    """Canonical JSON of the metadata."""
    return _canonical.encode(meta)


def decode_meta(raw: bytes) -> Meta:
    """The metadata again."""
    return _meta_decoder.decode(raw)


class Codec:
    """Encodes and decodes the events of the registry, sealing with a keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._plain: dict[tuple[str, int], Callable[[bytes], Any]] = {}
        self._sealed: dict[str, msgspec.json.Decoder[msgspec.Struct]] = {}

    def encode(self, message: object, event_id: bytes) -> bytes:
        """The stored payload of an event."""
        kind = event_type(type(message))
        if not kind.sealed_fields:
            return _canonical.encode(message)
        return _canonical.encode(self._seal(kind, message, event_id))

    def decode(self, name: str, version: int, payload: bytes, event_id: bytes) -> Any:
        """The event again, in today's form; ``None`` for a name this code does not know.

        Raises ``code_older_than_log`` for a newer version of a name it does know.
        """
        plain = self._plain.get((name, version))
        if plain is not None:
            return plain(payload)
        kind = EVENTS.get(name)
        if kind is None:
            return None
        if version != kind.version:
            return self._decode_old(kind, version, payload, event_id)
        if kind.sealed_fields:
            return self._open(kind, self._stored_form(kind).decode(payload), event_id)
        plain = self._plain[name, version] = msgspec.json.Decoder(kind.cls).decode
        return plain(payload)

    def _decode_old(self, kind: EventType, version: int, payload: bytes, event_id: bytes) -> Any:
        data = _upcast(kind, version, _plain_decoder.decode(payload))
        if not kind.sealed_fields:
            return msgspec.convert(data, kind.cls)
        return self._open(kind, msgspec.convert(data, self._stored_form(kind).type), event_id)

    def _open(self, kind: EventType, stored: msgspec.Struct, event_id: bytes) -> Any:
        fields = msgspec.structs.asdict(stored)
        subject = str(fields[kind.sealed_under or ""])
        for name in kind.sealed_fields:
            if fields[name] is not None:
                context = _context(event_id, name)
                fields[name] = unseal(self._keyring, subject, fields[name], context)
        return kind.cls(**fields)

    def _seal(self, kind: EventType, message: object, event_id: bytes) -> dict[str, Any]:
        subject = str(getattr(message, kind.sealed_under or ""))
        data = {f.name: getattr(message, f.name) for f in dataclasses.fields(kind.cls)}
        for name in kind.sealed_fields:
            if data[name] is not None:
                data[name] = seal(self._keyring, subject, data[name], _context(event_id, name))
        return data

    def _stored_form(self, kind: EventType) -> msgspec.json.Decoder[msgspec.Struct]:
        found = self._sealed.get(kind.name)
        if found is None:
            found = self._sealed[kind.name] = msgspec.json.Decoder(_stored_type(kind))
        return found


def stored_fields(name: str, version: int, payload: bytes) -> dict[str, Any]:
    """An event of the registry as plain data in today's form; what is sealed stays sealed.

    Raises ``code_older_than_log`` for a newer version, ``msgspec.MsgspecError`` for what is no
    event of this name.
    """
    kind = EVENTS[name]
    data = _upcast(kind, version, _plain_decoder.decode(payload))
    found: dict[str, Any] = msgspec.to_builtins(msgspec.convert(data, _stored_type_of(kind.cls)))
    return found


@functools.cache
def _stored_type_of(cls: type) -> type[msgspec.Struct]:
    return _stored_type(event_type(cls))


def _stored_type(kind: EventType) -> type[msgspec.Struct]:
    # The same fields with the sealed ones as text: what is really in the payload.
    hints = get_type_hints(kind.cls)
    fields = [
        (f.name, str | None if f.name in kind.sealed_fields else hints[f.name], _default(f))
        for f in dataclasses.fields(kind.cls)
    ]
    return msgspec.defstruct(f"{kind.name}Stored", fields, kw_only=True)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return msgspec.field(default_factory=field.default_factory)
    return msgspec.NODEFAULT if field.default is dataclasses.MISSING else field.default


def _upcast(kind: EventType, version: int, data: dict[str, Any]) -> dict[str, Any]:
    if version > kind.version:
        detail = f"{kind.name} is stored as version {version}; this code knows {kind.version}."
        raise refusal("code_older_than_log", detail)
    for step in range(version, kind.version):
        data = kind.upcasters[step](data)
    return data


def _context(event_id: bytes, field: str) -> bytes:
    return event_id + field.encode()

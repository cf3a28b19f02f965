"""Describes the events of the registry and makes samples of them, for the golden files.

Values inside events (``Terms``, ``Place``) are described where they stand: changing one changes the
stored form of every event that holds it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pkgutil
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import services
import shared.platform
from shared.codec import Codec
from shared.messages import EVENTS, Erased, EventType

GOLDEN = Path(__file__).parent / "golden"
MESSAGES = GOLDEN / "messages.json"
STORED = GOLDEN / "stored"
EVENT_ID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef").bytes
_WHEN = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)
_PLAIN: Mapping[Any, Any] = {str: "text", int: 12, float: 1.5, bool: True, datetime: _WHEN}

Described = dict[str, Any]


class OneKey:
    """A keyring for samples: the key is no secret, the samples are no persons."""

    def key(self, _subject: str) -> bytes | None:
        """Always the same."""
        return b"golden samples are sealed by it!"

    make_key = key


def codec() -> Codec:
    """The codec that wrote the samples, and reads them."""
    return Codec(OneKey())


def our_events() -> dict[str, EventType]:
    """Every event that the product can write; those that tests define are left out."""
    for found in pkgutil.iter_modules(services.__path__):
        name = f"services.{found.name}.messages"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    ours = ("services.", shared.platform.__name__)
    return {n: e for n, e in sorted(EVENTS.items()) if e.cls.__module__.startswith(ours)}


def described(kind: EventType) -> Described:
    """What the golden file says of an event: fields, their types, and what is sealed."""
    return {
        "fields": _fields(kind.cls),
        "sealed": sorted(kind.sealed_fields),
        "sealed_under": kind.sealed_under,
    }


def _fields(cls: type) -> Described:
    hints = get_type_hints(cls)
    return {field.name: _type(hints[field.name]) for field in dataclasses.fields(cls)}


def _type(hint: Any) -> Any:
    if hint in _PLAIN:
        return hint.__name__
    if dataclasses.is_dataclass(hint):
        return {hint.__name__: _fields(hint)}  # type: ignore[arg-type]  # A class, not an instance.
    if get_origin(hint) in {Union, UnionType}:
        return {"one of": [_type(arm) for arm in get_args(hint)]}
    if get_origin(hint) is tuple:
        return {"list of": _type(get_args(hint)[0])}
    if hint in {NoneType, Erased}:
        return {NoneType: None, Erased: "erased"}[hint]
    message = f"say here how {hint} is described and sampled"
    raise TypeError(message)


def sample(cls: type) -> Any:
    """An event with something in every field, always the same."""
    hints = get_type_hints(cls)
    fields = {f.name: _value(hints[f.name], f.name) for f in dataclasses.fields(cls)}
    return cls(**fields)


def _value(hint: Any, name: str) -> Any:
    if hint in _PLAIN:
        return f"{name} Zoë" if hint is str else _PLAIN[hint]
    if dataclasses.is_dataclass(hint):
        return sample(hint)  # type: ignore[arg-type]  # A class, not an instance.
    first = get_args(hint)[0]
    return (_value(first, name),) if get_origin(hint) is tuple else _value(first, name)


def pinned() -> dict[str, dict[str, Described]]:
    """The golden file: event → version → description."""
    found: dict[str, dict[str, Described]] = json.loads(MESSAGES.read_text())
    return found


def sample_file(name: str, version: int) -> Path:
    """Where the stored sample of a version lies."""
    return STORED / f"{name}.v{version}.json"


def stored_samples() -> Iterator[tuple[str, int, bytes]]:
    """Every sample: event, version, payload as it was once stored."""
    for file in sorted(STORED.glob("*.json")):
        name, _, version = file.stem.rpartition(".v")
        yield name, int(version), file.read_bytes()

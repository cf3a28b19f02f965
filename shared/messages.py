"""Messages: frozen dataclasses with names that are written out.

A command orders, an event reports. Events live for ever: their wire name and version are promises,
pinned by ``tests/contract/golden/messages.json``. A change is a new version with an upcaster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
)
from typing import get_type_hints as _hints

T = TypeVar("T")
C = TypeVar("C", bound=type)
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Erased:
    """Stands where personal data stood whose key has been destroyed."""

    def __repr__(self) -> str:
        return "[erased]"

    __str__ = __repr__


ERASED = Erased()
_SEALED = "sealed"

# A field of personal data. ``domain.py`` sees text or ``Erased``; at rest it is ciphertext.
Sealed: TypeAlias = Annotated[T | Erased, _SEALED]


@dataclass(frozen=True)
class EventType:
    """What the codec knows of one event: its name, version, class and sealed fields."""

    name: str
    version: int
    cls: type
    sealed_under: str | None
    sealed_fields: frozenset[str]
    upcasters: dict[int, Upcaster] = dataclasses.field(default_factory=dict)


EVENTS: dict[str, EventType] = {}
_BY_CLASS: dict[type, EventType] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: C) -> C:
    """A value inside messages: a frozen dataclass with keyword arguments.

    Raises ``TypeError`` for a ``Sealed`` field: only fields of the event itself are encrypted.
    """
    made = _made(cls)
    if any(_sealed_fields(made)):
        message = f"{cls.__name__} is a value and cannot seal; put the field into the event"
        raise TypeError(message)
    return made


@dataclass_transform(frozen_default=True, kw_only_default=True)
def command(cls: C) -> C:
    """A command: an order to one aggregate. It carries ids, times, prices; nothing is looked up."""
    return _made(cls)


def _made(cls: C) -> C:
    make: Any = dataclass(frozen=True, slots=True, kw_only=True)
    return cast("C", make(cls))


@dataclass_transform(frozen_default=True, kw_only_default=True)
def event(name: str, *, version: int = 1, sealed_under: str | None = None) -> Callable[[C], C]:
    """An event with its wire name. ``sealed_under`` names the field that holds the subject under
    whose key the ``Sealed`` fields are encrypted."""

    def register(cls: C) -> C:
        made = _made(cls)
        _register(made, name, version, sealed_under)
        return made

    return register


def _register(cls: type, name: str, version: int, sealed_under: str | None) -> None:
    known = EVENTS.get(name)
    if known is not None and _address(known.cls) != _address(cls):
        message = f"two events are called {name}"
        raise TypeError(message)
    sealed = frozenset(_sealed_fields(cls))
    if sealed and sealed_under is None:
        message = f"{name} has sealed fields and does not say under whose key (sealed_under)"
        raise TypeError(message)
    EVENTS[name] = _BY_CLASS[cls] = EventType(name, version, cls, sealed_under, sealed)


def _address(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _sealed_fields(cls: type) -> Iterator[str]:
    for name, hint in _hints(cls, include_extras=True).items():
        for part in (hint, *get_args(hint)):
            if get_origin(part) is Annotated and _SEALED in part.__metadata__:
                yield name


def upcaster(name: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Registers how the stored fields of ``from_version`` become those of the next version."""

    def register(function: Upcaster) -> Upcaster:
        EVENTS[name].upcasters[from_version] = function
        return function

    return register


def event_type(cls: type) -> EventType:
    """The registration of an event's class."""
    return _BY_CLASS[cls]


_SUBJECT_FIELDS = ("order_id", "hold_id", "num_id", "charge_id", "port_id", "payment_method_id")


def subjects_of(message: object) -> tuple[str, ...]:
    """Whom an event is about, for audit and history: ids, and numbers as ``e164:+…``."""
    ids = [getattr(message, field, None) for field in _SUBJECT_FIELDS]
    number = getattr(message, "number", None)
    return tuple(s for s in (*ids, f"e164:{number}" if number else None) if s)

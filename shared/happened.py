"""An event as consumers see it: what happened, when, in which stream. Decoded when asked, once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.codec import Codec, Meta, decode_meta
from shared.eventlog import Recorded
from shared.ids import event_id_text

_NOT_DECODED = object()


class Happened:
    """One event of the log on its way to consumers of this process."""

    __slots__ = ("_codec", "_message", "_meta", "stored")

    def __init__(self, stored: Recorded, codec: Codec) -> None:
        self.stored = stored
        self._codec = codec
        self._message: Any = _NOT_DECODED
        self._meta: Meta | None = None

    @property
    def position(self) -> int:
        """Where it stands in the log."""
        return self.stored.position

    @property
    def type(self) -> str:
        """Its wire name."""
        return self.stored.type

    @property
    def id(self) -> str:
        """Its public id (``evt_…``)."""
        return event_id_text(self.stored.event_id)

    @property
    def message(self) -> Any:
        """The event itself; ``None`` for a type this code does not know."""
        if self._message is _NOT_DECODED:
            s = self.stored
            self._message = self._codec.decode(s.type, s.schema_version, s.payload, s.event_id)
        return self._message

    @property
    def meta(self) -> Meta:
        """Who caused it, and when."""
        if self._meta is None:
            self._meta = decode_meta(self.stored.metadata)
        return self._meta

    @property
    def at(self) -> datetime:
        """When it happened: business time, UTC."""
        return self.meta.occurred_at

"""How an event of ours is stored in KurrentDB. The payload is its data, byte by byte; what else
belongs to it is in the metadata, as JSON that its own tools can show."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime, timedelta

import msgspec

from shared.eventlog import Entry, NewEvent, Recorded, digest
from shared.eventlog.kurrentdb_threads import NewEvent as Sent
from shared.eventlog.kurrentdb_threads import RecordedEvent as Stored
from shared.refusals import refusal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63 - 1  # Of the columns that keep positions.
# The server refuses an id of zeros, which is as good as any other to us.
_ZEROS, _INSTEAD = bytes(16), uuid.UUID("5a0f5e52-9a1d-4a44-8f0c-6c1c64b6d1b3")


_NOTHING = msgspec.Raw()


class _Around(msgspec.Struct, omit_defaults=True):
    """The metadata of the server's event. ``metadata`` is ours as it came if that is JSON, else
    ``metadata_base64`` is."""

    category: str
    account_id: str
    schema_version: int
    digest: str
    metadata: msgspec.Raw = _NOTHING
    metadata_base64: str | None = None


_decoder = msgspec.json.Decoder(_Around)


def sent(entry: Entry) -> list[Sent]:
    """The entry's events as the server gets them."""
    begin = entry.expected_version + 1
    return [_sent(entry, version, event) for version, event in enumerate(entry.events, begin)]


def _sent(entry: Entry, version: int, event: NewEvent) -> Sent:
    fingerprint = digest(entry.stream, version, entry.category, event).hex()
    around = _Around(entry.category, event.account_id, event.schema_version, fingerprint)
    return Sent(
        type=event.type,
        data=event.payload,
        metadata=_with(around, event.metadata),
        id=uuid.UUID(bytes=event.event_id) if event.event_id != _ZEROS else _INSTEAD,
    )


def _with(around: _Around, metadata: bytes) -> bytes:
    around.metadata = msgspec.Raw(metadata)
    made = msgspec.json.encode(around)
    try:
        as_it_came = bytes(_decoder.decode(made).metadata) == metadata
    except msgspec.DecodeError:
        as_it_came = False
    if as_it_came:
        return made
    around.metadata, around.metadata_base64 = _NOTHING, base64.b64encode(metadata).decode()
    return msgspec.json.encode(around)


def recorded(stored: Stored, prefix: str) -> Recorded:
    """The server's event as ours. Raises ``internal_error`` for one that we did not write."""
    try:
        around = _decoder.decode(stored.metadata)
    except msgspec.DecodeError as error:
        said = f"The event at {stored.commit_position} in KurrentDB is none of ours."
        raise refusal("internal_error", said) from error
    encoded = around.metadata_base64
    return Recorded(
        position=fitting(stored.commit_position),
        event_id=event_id(stored),
        stream=stored.stream_name.removeprefix(prefix),
        version=stored.stream_position + 1,
        category=around.category,
        account_id=around.account_id,
        type=stored.type,
        schema_version=around.schema_version,
        payload=stored.data,
        metadata=bytes(around.metadata) if encoded is None else base64.b64decode(encoded),
        recorded_at=((stored.recorded_at or _EPOCH) - _EPOCH) // _MICROSECOND,
        digest=bytes.fromhex(around.digest),
    )


def event_id(stored: Stored) -> bytes:
    """The id that we gave it."""
    return stored.id.bytes if stored.id != _INSTEAD else _ZEROS


def fits(position: int) -> bool:
    """Whether it is a place of the log, and one that our columns can keep."""
    return 0 < position <= _LARGEST


def fitting(position: int) -> int:
    """The position, if it ``fits`` (the server's are one bit longer); else ``internal_error``."""
    if not fits(position):
        raise refusal("internal_error", f"KurrentDB says that an event is at {position}.")
    return position

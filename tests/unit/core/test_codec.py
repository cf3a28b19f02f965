"""Messages and bytes: canonical, sealed, of several versions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.codec import Codec, Meta, decode_meta, encode_meta
from shared.errors import Broken
from shared.messages import ERASED, EVENTS, Erased, Sealed, event, event_type, upcaster, value
from shared.money import Money
from shared.stores import SqliteStore, Store, StoredKeyring
from tests.support.boxes import BoxFilled, BoxLabelled, LabelBox, box_service
from tests.support.worlds import World

ONE = uuid.UUID(int=1).bytes
TWO = uuid.UUID(int=2).bytes
CANARY = "Zoë Canary-9241"
MASTER = b"m" * 32


@value
class Size:
    """A value inside an event."""

    width: int
    unit: str = "cm"


@event("CodecParcel", version=3)
class Parcel:
    """It has had three forms: ``cm`` in 1, ``width`` in 2, ``size`` and ``tags`` in 3."""

    parcel_id: str
    size: Size
    tags: tuple[str, ...] = ()
    sent_at: datetime | None = None
    price: Money | None = None


@upcaster("CodecParcel", 1)
def _width_from_cm(old: dict[str, object]) -> dict[str, object]:
    return {"parcel_id": old["parcel_id"], "width": old["cm"]}


@upcaster("CodecParcel", 2)
def _size_from_width(old: dict[str, object]) -> dict[str, object]:
    return {"parcel_id": old["parcel_id"], "size": {"width": old["width"]}}


@event("CodecLetter", version=2, sealed_under="letter_id")
class Letter:
    """A sealed event that has had two forms."""

    letter_id: str
    name: Sealed[str]
    sent_at: datetime | None = None


@upcaster("CodecLetter", 1)
def _name_from_to(old: dict[str, object]) -> dict[str, object]:
    return {"letter_id": old["letter_id"], "name": old["to"]}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path / "state.db", durable=True)
    yield store
    store.close()


@pytest.fixture
def keyring(state: Store) -> StoredKeyring:
    return StoredKeyring(state, MASTER)


@pytest.fixture
def codec(keyring: StoredKeyring) -> Codec:
    return Codec(keyring)


def labelled(owner: str | Erased = CANARY, note: str | None = None) -> BoxLabelled:
    return BoxLabelled(box_id="b", account_id="acct_1", owner=owner, note=note)


# ── Plain events ──────────────────────────────────────────────────────────────────────────────────


def test_an_event_comes_back_as_it_was(codec: Codec) -> None:
    parcel = Parcel(
        parcel_id="p",
        size=Size(width=3),
        tags=("a", "ü"),
        sent_at=datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC),
        price=Money(1_260_000, "USD"),
    )

    payload = codec.encode(parcel, ONE)

    assert codec.decode("CodecParcel", 3, payload, ONE) == parcel


def test_the_stored_bytes_are_canonical(codec: Codec) -> None:
    size = Size(width=3, unit="in")

    payload = codec.encode(Parcel(parcel_id="Zoë", size=size), ONE)

    assert (
        payload
        == (
            '{"parcel_id":"Zoë","price":null,"sent_at":null,"size":{"unit":"in","width":3},"tags":[]}'
        ).encode()
    )


@settings(print_blob=True, max_examples=50)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    width=st.integers(-(2**63), 2**63 - 1),
    tags=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_encoding_is_stable(text: str, width: int, tags: list[str], at: datetime | None) -> None:
    plain = Codec(StoredKeyring.__new__(StoredKeyring))  # Nothing is sealed here.
    parcel = Parcel(parcel_id=text, size=Size(width=width), tags=tuple(tags), sent_at=at)

    payload = plain.encode(parcel, ONE)
    again = plain.decode("CodecParcel", 3, payload, ONE)

    assert again == parcel
    assert plain.encode(again, TWO) == payload
    assert json.dumps(
        json.loads(payload), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def test_an_older_form_is_lifted_through_every_version(codec: Codec) -> None:
    lifted = Parcel(parcel_id="p", size=Size(width=3))

    assert codec.decode("CodecParcel", 1, b'{"cm":3,"parcel_id":"p"}', ONE) == lifted
    assert codec.decode("CodecParcel", 2, b'{"parcel_id":"p","width":3}', ONE) == lifted
    assert codec.decode("CodecParcel", 3, b'{"parcel_id":"p","size":{"width":3}}', ONE) == lifted


def test_a_newer_form_is_refused(codec: Codec) -> None:
    with pytest.raises(Broken, match="code_older_than_log: CodecParcel is stored as version 4"):
        codec.decode("CodecParcel", 4, b"{}", ONE)


def test_a_name_that_nobody_knows_is_nothing(codec: Codec) -> None:
    assert codec.decode("NeverHeardOf", 1, b"{}", ONE) is None


def test_a_form_that_does_not_fit_is_an_error_and_not_a_guess(codec: Codec) -> None:
    with pytest.raises(ValueError, match="amount"):
        codec.decode("BoxFilled", 1, b'{"box_id":"b","amount":1.5}', ONE)


def test_metadata_comes_back_as_it_was() -> None:
    meta = Meta(
        command_id=uuid.UUID(int=7),
        correlation_id="req_1",
        actor="user:u_1",
        occurred_at=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
        subjects=("ord_1", "e164:+12125550123"),
    )

    assert decode_meta(encode_meta(meta)) == meta
    assert list(json.loads(encode_meta(meta))) == sorted(json.loads(encode_meta(meta)))
    assert b"causation_id" not in encode_meta(meta)


def test_an_instant_of_another_zone_stays_the_same_instant(codec: Codec) -> None:
    at = datetime(2026, 1, 31, 12, 0, tzinfo=timezone(timedelta(hours=2)))

    payload = codec.encode(Parcel(parcel_id="p", size=Size(width=1), sent_at=at), ONE)

    assert codec.decode("CodecParcel", 3, payload, ONE).sent_at == at


# ── Sealed fields ─────────────────────────────────────────────────────────────────────────────────


def test_sealed_fields_open_again(codec: Codec) -> None:
    payload = codec.encode(labelled(note="call me"), ONE)

    assert codec.decode("BoxLabelled", 1, payload, ONE) == labelled(note="call me")


def test_nothing_personal_stands_in_the_stored_bytes(codec: Codec, tmp_path: Path) -> None:
    payload = codec.encode(labelled(note=CANARY), ONE)

    assert b"Canary" not in payload
    assert "Zoë".encode() not in payload
    assert b'"account_id":"acct_1"' in payload
    files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert files
    assert not any(b"Canary" in content for content in files)


def test_nothing_personal_reaches_any_file(tmp_path: Path) -> None:
    world = World(tmp_path, [box_service()])
    world.execute(LabelBox(box_id="b", account_id="acct_1", owner=CANARY, note=f"ask {CANARY}"))
    world.settle()

    assert world.messages(BoxLabelled) == [labelled(note=f"ask {CANARY}")]
    world.close()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"log.db", "state.db"} <= {file.name for file in files}
    assert [file for file in files if b"Canary" in file.read_bytes()] == []


def test_the_same_text_never_looks_the_same(codec: Codec) -> None:
    fields = json.loads(codec.encode(labelled(note=CANARY), ONE))

    assert fields["owner"] != fields["note"]
    assert codec.encode(labelled(), ONE) != codec.encode(labelled(), ONE)


def test_a_field_that_is_not_there_stays_not_there(codec: Codec) -> None:
    payload = codec.encode(labelled(note=None), ONE)

    assert json.loads(payload)["note"] is None
    assert codec.decode("BoxLabelled", 1, payload, ONE).note is None


def test_without_its_key_a_field_is_erased_and_the_rest_stays(
    codec: Codec, keyring: StoredKeyring
) -> None:
    payload = codec.encode(labelled(note="call me"), ONE)
    keyring.destroy("acct_1")

    read = codec.decode("BoxLabelled", 1, payload, ONE)

    assert isinstance(read.owner, Erased)
    assert isinstance(read.note, Erased)
    assert (read.box_id, str(read.owner)) == ("b", "[erased]")


def test_the_key_of_one_subject_opens_nothing_of_another(
    codec: Codec, keyring: StoredKeyring
) -> None:
    payload = codec.encode(labelled(), ONE)
    keyring.make_key("acct_2")
    moved = payload.replace(b'"acct_1"', b'"acct_2"')

    assert codec.decode("BoxLabelled", 1, moved, ONE).owner is ERASED


def test_a_token_moved_to_another_event_does_not_open(codec: Codec) -> None:
    payload = codec.encode(labelled(), ONE)

    assert codec.decode("BoxLabelled", 1, payload, TWO).owner is ERASED
    assert codec.decode("BoxLabelled", 1, payload, ONE).owner == CANARY


def test_a_token_moved_to_another_field_does_not_open(codec: Codec) -> None:
    fields = json.loads(codec.encode(labelled(note="call me"), ONE))
    fields["owner"], fields["note"] = fields["note"], fields["owner"]

    read = codec.decode("BoxLabelled", 1, json.dumps(fields).encode(), ONE)

    assert (read.owner, read.note) == (ERASED, ERASED)


def test_what_is_sealed_after_erasure_is_not_stored_at_all(
    codec: Codec, keyring: StoredKeyring
) -> None:
    keyring.destroy("acct_1")

    payload = codec.encode(labelled(), ONE)

    assert json.loads(payload)["owner"] == ""
    assert codec.decode("BoxLabelled", 1, payload, ONE).owner is ERASED


def test_an_erased_field_can_be_written_on(codec: Codec) -> None:
    payload = codec.encode(labelled(owner=ERASED), ONE)

    assert codec.decode("BoxLabelled", 1, payload, ONE).owner is ERASED


def test_an_older_form_of_a_sealed_event_opens(codec: Codec) -> None:
    current = json.loads(codec.encode(Letter(letter_id="l", name=CANARY), ONE))
    old = json.dumps({"letter_id": "l", "to": current["name"]}).encode()

    assert codec.decode("CodecLetter", 1, old, ONE) == Letter(letter_id="l", name=CANARY)
    with pytest.raises(Broken, match="code_older_than_log"):
        codec.decode("CodecLetter", 3, old, ONE)


# ── The registry ──────────────────────────────────────────────────────────────────────────────────


def test_the_registry_knows_what_is_sealed_under_whom() -> None:
    kind = event_type(BoxLabelled)

    assert (kind.name, kind.sealed_under) == ("BoxLabelled", "account_id")
    assert kind.sealed_fields == {"owner", "note"}
    assert not event_type(BoxFilled).sealed_fields


def test_two_events_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="two events are called BoxFilled"):

        @event("BoxFilled")
        class Other:
            """Not the one."""

            box_id: str

    assert EVENTS["BoxFilled"].cls is BoxFilled


def test_an_event_says_under_whose_key_it_seals() -> None:
    with pytest.raises(TypeError, match="does not say under whose key"):

        @event("CodecNobodys")
        class Nobodys:
            """Whose?"""

            name: Sealed[str]

    assert "CodecNobodys" not in EVENTS


def test_a_value_inside_an_event_cannot_seal() -> None:
    with pytest.raises(TypeError, match="cannot seal"):

        @value
        class Person:
            """It would be stored as it is."""

            name: Sealed[str]

    with pytest.raises(TypeError, match="cannot seal"):

        @value
        class Maybe:
            """Neither can it."""

            name: Sealed[str] | None = None

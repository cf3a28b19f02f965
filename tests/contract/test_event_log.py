"""What every backend of the event log promises. A backend is one entry in ``log_backends.py``.

Many writers, kills and full disks are in ``test_event_log_under_load.py``.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.errors import Broken
from shared.eventlog import Appended, Conflict, Entry, EventLog, NewEvent, Recorded
from tests.contract.log_backends import BACKENDS, Backend
from tests.contract.log_checks import assert_in_order, at_once, everything
from tests.contract.log_writer import append, entry, new_event

GOLDEN = Path(__file__).parent / "golden" / "digests.json"


# ── Appending ─────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_log_has_nothing(log: EventLog) -> None:
    assert log.head() == 0
    assert log.read_all(0, 10) == []
    assert log.read_stream("order-1") == []
    assert log.read_streams(["order-1"]) == {}
    assert log.read_at(1) is None
    assert log.append_batch([]) == []


def test_events_are_read_in_the_order_they_were_written(log: EventLog) -> None:
    first = append(log, "order-1", 0, "a", "b")
    second = append(log, "order-2", 0, "c")
    third = append(log, "order-1", 2, "d")

    positions = [*first.positions, *second.positions, *third.positions]
    assert positions == sorted(positions)
    assert [event.position for event in everything(log)] == positions
    assert [event.stream for event in everything(log)] == ["order-1"] * 2 + ["order-2", "order-1"]
    assert_in_order(log)


def test_a_stale_version_is_a_conflict_that_names_the_actual_one(log: EventLog) -> None:
    append(log, "order-1", 0, "a", "b")

    outcome = log.append_batch([entry("order-1", 1, "late")])

    assert outcome == [Conflict("order-1", expected=1, actual=2)]
    assert len(log.read_stream("order-1")) == 2


def test_a_version_that_is_not_there_yet_is_a_conflict(log: EventLog) -> None:
    assert log.append_batch([entry("order-1", 1, "early")]) == [Conflict("order-1", 1, 0)]
    assert log.head() == 0


def assert_earlier(log: EventLog, outcomes: Sequence[object], first: object) -> None:
    """They say that the first has done it; whether it was another call, if the log knows."""
    assert isinstance(first, Appended)
    assert not first.earlier
    for outcome in outcomes:
        assert isinstance(outcome, Appended)
        assert outcome.positions == first.positions
        assert outcome.earlier or not log.knows_earlier


def test_entries_of_a_batch_stand_for_themselves(log: EventLog) -> None:
    append(log, "order-2", 0, "there already")

    first, clash, last = log.append_batch(
        [entry("order-1", 0, "a"), entry("order-2", 0, "b"), entry("order-3", 0, "c", "d")]
    )

    assert clash == Conflict("order-2", 0, 1)
    assert isinstance(first, Appended)
    assert isinstance(last, Appended)
    assert [len(log.read_stream(f"order-{n}")) for n in (1, 2, 3)] == [1, 1, 2]
    assert_in_order(log)


def test_two_entries_of_a_batch_may_follow_each_other_in_one_stream(log: EventLog) -> None:
    first, second = log.append_batch([entry("order-1", 0, "a"), entry("order-1", 1, "b")])

    assert isinstance(first, Appended)
    assert isinstance(second, Appended)
    assert first.positions < second.positions
    assert [e.payload for e in log.read_stream("order-1")] == [b'{"text":"a"}', b'{"text":"b"}']


def test_two_entries_of_a_batch_at_one_version_of_a_stream_conflict(log: EventLog) -> None:
    first, second = log.append_batch([entry("order-1", 0, "a"), entry("order-1", 0, "b")])

    assert isinstance(first, Appended)
    assert second == Conflict("order-1", 0, 1)


def test_a_repeated_entry_gets_its_first_positions_and_is_not_doubled(log: EventLog) -> None:
    once = entry("order-1", 0, "a", "b")
    (first,) = log.append_batch([once])

    assert_earlier(log, log.append_batch([once]), first)
    assert_earlier(log, log.append_batch([once, once]), first)
    assert len(everything(log)) == 2


def test_of_an_entry_that_is_twice_in_a_batch_the_second_is_an_earlier_one(log: EventLog) -> None:
    once = entry("order-1", 0, "a", "b")

    first, second = log.append_batch([once, once])

    assert isinstance(first, Appended)
    assert not first.earlier
    assert_earlier(log, [second], first)
    assert len(everything(log)) == 2


def test_a_repeated_entry_is_recognised_after_the_stream_moved_on(log: EventLog) -> None:
    once = entry("order-1", 0, "a", "b")
    (first,) = log.append_batch([once])
    append(log, "order-1", 2, "c")

    assert_earlier(log, log.append_batch([once]), first)
    assert len(log.read_stream("order-1")) == 3


def test_an_event_id_counts_within_its_stream_only(log: EventLog) -> None:
    event = new_event("a")
    log.append_batch([Entry("order-1", "order", 0, (event,))])

    (outcome,) = log.append_batch([Entry("order-2", "order", 0, (event,))])

    assert isinstance(outcome, Appended)
    assert len(everything(log)) == 2


def test_an_entry_of_which_only_a_part_is_known_is_a_clash(log: EventLog) -> None:
    known = new_event("a")
    log.append_batch([Entry("order-1", "order", 0, (known,))])

    with pytest.raises(Broken, match="event_id_clash"):
        log.append_batch([Entry("order-1", "order", 1, (known, new_event("b")))])

    assert len(log.read_stream("order-1")) == 1


@pytest.mark.parametrize("expected", [0, 1])
def test_an_event_id_that_is_twice_in_one_entry_is_refused(log: EventLog, expected: int) -> None:
    known, twice = new_event("a"), new_event("b")
    log.append_batch([Entry("order-1", "order", 0, (known,))])
    stream = f"order-{2 - expected}"
    wanted = [entry("order-3", 0, "c"), Entry(stream, "order", expected, (twice, twice))]

    with pytest.raises(Broken, match="event_id_repeated"):
        log.append_batch(wanted)

    assert [event.event_id for event in everything(log)] == [known.event_id]


def test_an_entry_that_names_an_event_twice_does_not_harm_the_others(log: EventLog) -> None:
    twice = (new_event("b"),) * 2

    def write(n: int) -> object:
        if n % 2:
            return append(log, f"order-{n}", 0, "a", "b")
        with pytest.raises(Broken, match="event_id_repeated") as raised:
            log.append_batch([Entry(f"order-{n}", "order", 0, twice)])
        return raised.value

    outcomes = at_once(16, write)

    assert sum(isinstance(found, Appended) for found in outcomes) == 8
    assert len(everything(log)) == 8 * 2


def test_at_a_stale_version_a_part_that_is_known_is_a_conflict(log: EventLog) -> None:
    # Two processes run one command at once and decide differently: the slower one decides again.
    known = new_event("a")
    log.append_batch([Entry("order-1", "order", 0, (known,))])

    (outcome,) = log.append_batch([Entry("order-1", "order", 0, (known, new_event("b")))])

    assert outcome == Conflict("order-1", 0, 1)


def test_a_clash_of_one_caller_does_not_harm_the_others(log: EventLog) -> None:
    known = new_event("a")
    log.append_batch([Entry("clash-1", "clash", 0, (known,))])
    clashing = Entry("clash-1", "clash", 1, (known, new_event("b")))

    def write(n: int) -> object:
        if n % 4:
            return append(log, f"order-{n}", 0, "a", "b")
        with pytest.raises(Broken, match="event_id_clash") as raised:
            log.append_batch([clashing])
        return raised.value

    outcomes = at_once(32, write)

    assert sum(isinstance(found, Appended) for found in outcomes) == 24
    assert sum(isinstance(found, Broken) for found in outcomes) == 8
    assert len(everything(log)) == 1 + 24 * 2
    assert_in_order(log)


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_is_read_oldest_first(log: EventLog) -> None:
    append(log, "order-1", 0, "a", "b")
    append(log, "order-2", 0, "x")
    append(log, "order-1", 2, "c")

    read = log.read_stream("order-1")

    assert [event.version for event in read] == [1, 2, 3]
    assert [event.payload for event in read] == [b'{"text":"%s"}' % t for t in (b"a", b"b", b"c")]


def test_several_streams_are_read_at_once_and_missing_ones_are_left_out(log: EventLog) -> None:
    names = [f"order-{n:04}" for n in range(1200)]
    log.append_batch([entry(name, 0, name) for name in names[::2]])

    read = log.read_streams([*names, names[0]])

    assert sorted(read) == names[::2]
    assert all(read[name] == log.read_stream(name) for name in names[:6:2])


def test_a_name_with_odd_letters_is_a_stream_of_its_own(log: EventLog) -> None:
    names = ["a-%", "a-_", "A-_", "a-'; --", "ä-ß", "a- b", "a-\U0001f4de"]
    log.append_batch([entry(name, 0, "a") for name in names])

    assert [len(log.read_stream(name)) for name in names] == [1] * len(names)
    assert set(log.read_streams(names)) == set(names)


def test_reading_all_goes_on_behind_a_position(log: EventLog) -> None:
    for n in range(10):
        append(log, f"order-{n}", 0, "a")
    all_at_once = everything(log)

    assert everything(log, at_once=3) == all_at_once
    assert log.read_all(all_at_once[6].position, 2) == all_at_once[7:9]
    assert log.read_all(all_at_once[-1].position, 2) == []
    assert log.head() == all_at_once[-1].position
    assert log.read_all(0, 0) == log.read_last(0) == []


def test_the_last_events_are_read_in_order(log: EventLog) -> None:
    assert log.read_last(3) == []

    for n in range(4):
        append(log, f"order-{n}", 0, "a", "b")

    assert log.read_last(3) == everything(log)[-3:]
    assert log.read_last(100) == everything(log)


def test_an_event_is_read_at_its_position(log: EventLog) -> None:
    appended = append(log, "order-1", 0, "a", "b")

    assert log.read_at(appended.positions[1]) == log.read_stream("order-1")[1]
    assert log.read_at(appended.positions[1] + 1) is None


ODD_PAYLOADS = (
    b'{"b":1,  "a":2}',
    b'{"a":1,"a":2}',
    b'{ "text" :\t"tabs and  spaces" }\n',
    '{"text":"Zoë  \u2028 \U0001f4de \\u00e9"}'.encode(),
    b'{"number":1.10,"big":12345678901234567890123}',
    b"{}",
)


def test_bytes_come_back_exactly(log: EventLog) -> None:
    events = tuple(
        NewEvent(uuid.uuid4().bytes, "acct_ü", f"Type{n}", n, payload, b'{"z":1, "a" : "\xc3\xa9"}')
        for n, payload in enumerate(ODD_PAYLOADS, start=1)
    )
    log.append_batch([Entry("order-1", "order", 0, events)])

    read = log.read_stream("order-1")

    assert [event.payload for event in read] == list(ODD_PAYLOADS)
    as_sent = [(e.event_id, e.account_id, e.type, e.schema_version, e.metadata) for e in events]
    found = [(r.event_id, r.account_id, r.type, r.schema_version, r.metadata) for r in read]
    assert found == as_sent
    assert {event.category for event in read} == {"order"}


def test_a_payload_of_a_megabyte_comes_back(log: EventLog) -> None:
    large = new_event("x" * 1_000_000)
    log.append_batch([Entry("order-1", "order", 0, (large,))])

    assert log.read_stream("order-1")[0].payload == large.payload


def test_recorded_at_is_machine_time_in_microseconds(log: EventLog) -> None:
    append(log, "order-1", 0, "a")

    (event,) = log.read_stream("order-1")

    assert 1_700_000_000_000_000 < event.recorded_at < 10_000_000_000_000_000


# ── Life ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_log_opens_with_everything_in_it(backend: Backend, address: str) -> None:
    log = backend.open(address)
    append(log, "order-1", 0, "a", "b")
    before, log_id = everything(log), log.log_id
    log.close()

    again = backend.open(address)

    assert everything(again) == before
    assert again.log_id == log_id
    append(again, "order-1", 2, "c")
    assert_in_order(again)
    again.close()


def test_two_logs_have_different_ids(backend: Backend, tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    logs = [backend.open(backend.make(folder)) for folder in folders]

    assert logs[0].log_id != logs[1].log_id
    for log in logs:
        log.close()


def test_one_log_is_opened_by_many_at_once(backend: Backend, address: str) -> None:
    logs = at_once(8, lambda _: backend.open(address))

    assert len({log.log_id for log in logs}) == 1
    for n, log in enumerate(logs):
        append(log, f"order-{n}", 0, "a")
        log.close()


CHANGES = [(backend, statement) for backend in BACKENDS for statement in backend.changes]


@pytest.mark.parametrize(
    ("backend", "statement"), CHANGES, ids=[f"{b.name}-{said}" for b, said in CHANGES]
)
def test_what_is_written_cannot_be_changed(
    backend: Backend, tmp_path: Path, statement: str
) -> None:
    address = backend.make(tmp_path)
    log = backend.open(address)
    append(log, "order-1", 0, "a", "b")
    before = everything(log)
    assert backend.tamper is not None

    with pytest.raises(Exception, match="events are for ever"):
        backend.tamper(address, statement)

    assert everything(log) == before
    log.close()


# ── Digests ───────────────────────────────────────────────────────────────────────────────────────


def independent_digest(fields: list[bytes]) -> bytes:
    """Written from the description, without looking at the code: one message, hashed at once."""
    message = bytearray()
    for field in fields:
        message.extend([len(field) >> 24 & 255, len(field) >> 16 & 255])
        message.extend([len(field) >> 8 & 255, len(field) & 255])
        message.extend(field)
    return hashlib.new("sha256", bytes(message)).digest()


def digest_of(event: Recorded) -> bytes:
    texts = [event.stream, str(event.version), event.category, event.account_id, event.type]
    before = [event.event_id, *(text.encode() for text in texts)]
    return independent_digest(
        [*before, b"%d" % event.schema_version, event.payload, event.metadata]
    )


def golden_digests() -> list[dict[str, str]]:
    vectors: list[dict[str, str]] = json.loads(GOLDEN.read_text())
    return vectors


@pytest.mark.parametrize("vector", golden_digests(), ids=lambda v: v["stream"])
def test_digests_are_the_golden_ones(log: EventLog, vector: dict[str, str]) -> None:
    event = NewEvent(
        bytes.fromhex(vector["event_id"]),
        vector["account_id"],
        vector["type"],
        int(vector["schema_version"]),
        vector["payload"].encode(),
        vector["metadata"].encode(),
    )
    before = int(vector["version"]) - 1
    fill = tuple(new_event(str(n)) for n in range(before))
    log.append_batch([Entry(vector["stream"], vector["category"], 0, fill)] if fill else [])
    log.append_batch([Entry(vector["stream"], vector["category"], before, (event,))])

    recorded = log.read_stream(vector["stream"])[-1]

    assert recorded.digest.hex() == vector["digest"]
    assert digest_of(recorded).hex() == vector["digest"]


def test_digests_of_odd_bytes_are_as_described(log: EventLog) -> None:
    events = tuple(
        NewEvent(uuid.uuid4().bytes, "acct_ü", "T", 7, payload, b"{}") for payload in ODD_PAYLOADS
    )
    log.append_batch([Entry("ordér-1", "ordér", 0, events)])

    for event in log.read_stream("ordér-1"):
        assert event.digest == digest_of(event)

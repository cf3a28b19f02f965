"""What the log in KurrentDB promises on top of the suite that every backend passes. All of it is
tried on a server that speaks the protocol and is none (``tests/support/kurrentdb_server.py``)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from kurrentdbclient import KurrentDBClient, StreamState

from shared.consumers import checkpoints
from shared.consumers.checkpoints import Checkpoint
from shared.errors import Broken, Unavailable
from shared.eventlog import Appended, Conflict, Entry, NewEvent
from shared.eventlog.kurrentdb import KurrentLog
from shared.eventlog.kurrentdb_client import log_name
from tests.contract.log_checks import PATIENCE, assert_in_order, everything, until
from tests.contract.log_writer import append, entry, new_event
from tests.support.children import frozen
from tests.support.kurrentdb import Server, server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def address() -> str:
    return server().address()


@pytest.fixture
def log(address: str) -> Iterator[KurrentLog]:
    opened = KurrentLog(address)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def other_server() -> Iterator[Server]:
    """A second server, which may be killed."""
    found = Server()
    yield found
    found.remove()


def plainly(address: str) -> closing[KurrentDBClient]:
    """The client alone, as another program would use it."""
    return closing(KurrentDBClient(address))


# ── What is stored ────────────────────────────────────────────────────────────────────────────────


def test_an_event_can_be_read_with_the_tools_of_the_server(address: str, log: KurrentLog) -> None:
    event = NewEvent(uuid.uuid4().bytes, "acct_1", "OrderPlaced", 2, b'{"a":1}', b'{"actor":"x"}')
    log.append_batch([Entry("order-1", "order", 0, (event,))])

    with plainly(address) as client:
        (found,) = client.get_stream(f"{log_name(address)}.order-1", timeout=PATIENCE)

    assert (found.type, found.data, found.id.bytes) == ("OrderPlaced", b'{"a":1}', event.event_id)
    assert json.loads(found.metadata) == {
        "category": "order",
        "account_id": "acct_1",
        "schema_version": 2,
        "digest": log.read_stream("order-1")[0].digest.hex(),
        "metadata": {"actor": "x"},
    }


ODD_METADATA = (b"", b"\xff\x00", b" {} ", b'{} , "category":"other"', b'{},"category":"x"', b"[")


def test_metadata_that_is_no_json_comes_back_exactly(log: KurrentLog) -> None:
    events = [new_event("a")._replace(metadata=metadata) for metadata in ODD_METADATA]
    log.append_batch([Entry("order-1", "order", 0, tuple(events))])

    read = log.read_stream("order-1")

    assert [event.metadata for event in read] == list(ODD_METADATA)
    assert {event.category for event in read} == {"order"}


def test_logs_of_one_server_do_not_see_each_other(log: KurrentLog) -> None:
    name = f"{uuid.uuid4().hex}"
    logs = [KurrentLog(server().address(one)) for one in (name, f"{name}2")]
    for n, one in enumerate(logs):
        append(one, "order-1", 0, *["a"] * (n + 1))

    assert [len(everything(one)) for one in logs] == [1, 2]
    assert everything(log) == []
    assert logs[0].head() < logs[1].head()
    for one in logs:
        one.close()


def test_an_append_larger_than_the_server_takes_is_refused(log: KurrentLog) -> None:
    append(log, "order-1", 0, "a")

    with pytest.raises(Broken, match="append_too_large"):
        log.append_batch([entry("order-1", 1, "x" * 600_000, "y" * 600_000)])

    assert len(log.read_stream("order-1")) == 1


# ── What the server does not look at ──────────────────────────────────────────────────────────────


def test_the_server_alone_would_double_a_repeated_event(address: str, log: KurrentLog) -> None:
    """Else nothing here would show that we look at the ids ourselves."""
    event, stream = new_event("a"), f"{log_name(address)}.order-1"
    (first,) = log.append_batch([Entry("order-1", "order", 0, (event,))])
    with plainly(address) as client:
        (stored,) = client.get_stream(stream, timeout=PATIENCE)

    assert isinstance(first, Appended)
    again = replace(first, earlier=True)
    assert log.append_batch([Entry("order-1", "order", 1, (event,))]) == [again]
    assert len(log.read_stream("order-1")) == 1
    with plainly(address) as client:
        client.append_to_stream(stream, events=[stored], current_version=0, timeout=PATIENCE)
    assert len(log.read_stream("order-1")) == 2


def test_what_another_process_wrote_is_known_again(address: str, log: KurrentLog) -> None:
    once = entry("order-1", 0, "a", "b")
    append(log, "order-2", 0, "x")
    log.read_stream("order-1")
    other = KurrentLog(address)
    (first,) = other.append_batch([once])
    append(other, "order-1", 2, "c")
    other.close()

    assert isinstance(first, Appended)
    (again,) = log.append_batch([once])
    assert isinstance(again, Appended)
    assert again.positions == first.positions
    late = once._replace(expected_version=3)
    assert log.append_batch([late]) == [replace(first, earlier=True)]
    assert log.append_batch([entry("order-1", 2, "d")]) == [Conflict("order-1", 2, 3)]


# ── The server goes away ──────────────────────────────────────────────────────────────────────────


def test_a_server_killed_under_load_keeps_what_it_acknowledged(other_server: Server) -> None:
    log = KurrentLog(other_server.address())
    enough = threading.Event()
    refused: list[str] = []
    acked: list[str] = []

    def write(n: int) -> None:
        for tries in range(100_000):
            if enough.is_set():
                return
            wanted = entry(f"order-{n}-{tries}", 0, "a", "b")
            try:
                log.append_batch([wanted])
            except Unavailable as error:
                refused.append(error.code)
                threading.Event().wait(0.05)
            else:
                acked.extend(event.event_id.hex() for event in wanted.events)

    with ThreadPoolExecutor(4) as writers:
        writing = [writers.submit(write, n) for n in range(4)]
        try:
            for _ in range(2):
                until_longer(acked, 40)
                other_server.kill()
                until_longer(refused, 1)
                other_server.start()
            until_longer(acked, 20)
        finally:
            enough.set()  # Else the pool would wait for its writers.
        for one in writing:
            one.result(PATIENCE)

    there = [event.event_id.hex() for event in everything(log)]
    assert set(acked) <= set(there)
    assert len(there) == len(set(there))
    assert set(refused) == {"log_unavailable"}
    assert_in_order(log)
    log.close()


def until_longer(growing: list[str], by: int) -> None:
    begin = len(growing)
    until(lambda: len(growing) >= begin + by)


def reachable(log: KurrentLog) -> bool:
    try:
        return log.head() > 0
    except Unavailable:
        return False


def test_a_server_that_does_not_answer_is_given_up_in_time(other_server: Server) -> None:
    log = KurrentLog(other_server.address(), seconds=0.3)
    append(log, "order-1", 0, "a")
    wanted = entry("order-1", 1, "b")

    with frozen(other_server.pid):
        begin = time.monotonic()
        for call in (
            lambda: log.append_batch([wanted]),
            log.head,
            lambda: log.read_stream("order-1"),
        ):
            with pytest.raises(Unavailable, match="log_unavailable"):
                call()
        waited = time.monotonic() - begin
    until(lambda: reachable(log))

    assert waited < 10
    # It may have been written all the same; once more, and it is there once.
    assert isinstance(log.append_batch([wanted])[0], Appended)
    assert len(log.read_stream("order-1")) == 2
    log.close()


def test_a_server_that_is_not_there_is_unavailable(other_server: Server) -> None:
    address = other_server.address()
    other_server.kill()

    with pytest.raises(Unavailable, match="log_unavailable"):
        KurrentLog(address)

    other_server.start()
    KurrentLog(address).close()


def test_a_call_on_a_connection_that_another_thread_let_go_is_unavailable(log: KurrentLog) -> None:
    def work(client: KurrentDBClient) -> object:
        begun = client.streams
        client.reconnect()  # As another thread does when the server was away.
        return list(begun.read(stream_name="any", timeout=PATIENCE))

    with pytest.raises(Unavailable, match="log_unavailable"):
        log._link.call(work)
    with pytest.raises(ValueError, match="ours"):
        log._link.call(lambda _client: int("ours"))


def test_a_closed_log_is_unavailable(address: str) -> None:
    log = KurrentLog(address)
    log.close()

    with pytest.raises(Unavailable, match=r"log_unavailable.*closed"):
        log.head()


# ── The log went back ─────────────────────────────────────────────────────────────────────────────


def test_a_server_restored_from_a_backup_is_noticed_by_whoever_read_further(
    other_server: Server,
) -> None:
    log = KurrentLog(other_server.address())
    append(log, "order-1", 0, "a", "b")
    backup = other_server.journal()
    before = everything(log)
    append(log, "order-1", 2, "lost")
    (*_, lost) = log.read_stream("order-1")
    place = Checkpoint(lost.position, lost.event_id, log.log_id)

    checkpoints.verify(place, log)
    other_server.restore(backup)
    until(lambda: reachable(log))

    assert log.read_stream("order-1") == everything(log) == before
    with pytest.raises(Broken, match="log_went_back"):
        checkpoints.verify(place, log)
    append(log, "order-2", 0, "another", "x" * 500, "after it")
    with pytest.raises(Broken, match="log_went_back"):
        checkpoints.verify(place, log)
    log.close()


def test_a_place_at_which_no_event_is_cannot_be_read_from(log: KurrentLog) -> None:
    appended = append(log, "order-1", 0, "a", "b")

    with pytest.raises(Broken, match="log_went_back"):
        log.read_all(appended.positions[0] + 1, 10)


def test_a_stream_that_was_deleted_in_the_server_is_an_alarm(address: str, log: KurrentLog) -> None:
    append(log, "order-1", 0, "a", "b")
    with plainly(address) as client:
        stream = f"{log_name(address)}.order-1"
        client.delete_stream(stream, current_version=StreamState.ANY, timeout=PATIENCE)
    append(log, "order-1", 0, "c")

    with pytest.raises(Broken, match="log_has_hole"):
        log.read_stream("order-1")


# ── The bell ──────────────────────────────────────────────────────────────────────────────────────


def drain(rung: threading.Semaphore) -> None:
    while rung.acquire(blocking=False):
        pass


def test_an_append_of_another_process_rings(address: str, log: KurrentLog) -> None:
    rung = threading.Semaphore(0)
    listening = KurrentLog(address, rung.release)
    assert rung.acquire(timeout=PATIENCE)  # It says once that it listens.

    for n in range(5):
        append(log, f"order-{n}", 0, "a")
        assert rung.acquire(timeout=PATIENCE)

    listening.close()
    assert not any(thread.name == "log-bell" for thread in threading.enumerate())


def test_the_bell_rings_again_after_the_server_was_away(other_server: Server) -> None:
    rung = threading.Semaphore(0)
    address = other_server.address()
    listening, log = KurrentLog(address, rung.release), KurrentLog(address)
    assert rung.acquire(timeout=PATIENCE)

    other_server.kill()
    drain(rung)
    other_server.start()
    assert rung.acquire(timeout=PATIENCE)  # It listens again.
    drain(rung)
    until(lambda: append_again(log))
    assert rung.acquire(timeout=PATIENCE)

    listening.close()
    log.close()


def append_again(log: KurrentLog) -> bool:
    try:
        return bool(append(log, f"order-{uuid.uuid4()}", 0, "a").positions)
    except Unavailable:
        return False


# ── Addresses ─────────────────────────────────────────────────────────────────────────────────────

WRONG = (
    "kurrentdb://me:s3cret@127.0.0.1:2113/x?tls=perhaps",
    "kurrentdb://me:s3cret@127.0.0.1:2113/x?nodePreference=follower",
    "kurrentdb://me:s3cret@127.0.0.1:2113/x?sslmode=require",
    "kurrentdb://me:s3cret@127.0.0.1:2113/x?tlsCaFile=/nowhere/ca.pem",
)


@pytest.mark.parametrize("address", WRONG)
def test_a_wrong_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(Broken, match="setting_invalid") as refused:
        KurrentLog(address)

    assert refused.value.param == "PBXIM_LOG"
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


# ── In a nameko process ───────────────────────────────────────────────────────────────────────────


def test_in_a_process_that_eventlet_patched_the_others_go_on(address: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.kurrentdb_green", address],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["read"], found["everything"], found["heard"]) == (100, 100, True)
    assert found["ticks"] > 20
    assert found["longest"] < 1


def test_grpc_that_was_imported_too_early_is_refused_instead_of_hanging() -> None:
    early = "import kurrentdbclient, eventlet; eventlet.monkey_patch()"
    program = f"{early}; import shared.eventlog.kurrentdb"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "grpc was imported before" in done.stderr

"""The log in PostgreSQL: order without gaps, whoever takes back, dies or is slow.

The checks are shown to bite: a log that hands out positions by a plain sequence fails them.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from shared.consumers.feed import Feed
from shared.errors import Broken
from shared.eventlog import Appended, Recorded
from shared.eventlog.postgres import PostgresLog
from shared.eventlog.postgres_append import append as call_append
from shared.eventlog.postgres_pool import connect
from tests.contract.log_checks import PATIENCE, assert_in_order, at_once, everything, until
from tests.contract.log_writer import append, entry
from tests.support.postgres import OWNER, server

ROOT = Path(__file__).parents[2]
WRITERS = 8
KILLED = 3


@pytest.fixture
def address(database: str) -> str:
    return server().address(database)


@pytest.fixture
def log(address: str) -> Iterator[PostgresLog]:
    opened = PostgresLog(address, connections=4)
    yield opened
    opened.close()


class Follower(threading.Thread):
    """A reader as consumers are: it goes on behind its last position, and a hole is an alarm."""

    def __init__(self, log: PostgresLog) -> None:
        super().__init__(daemon=True)
        self.seen: list[Recorded] = []
        self.alarm = ""
        self.last_look = threading.Event()
        self._feed = Feed(log, codec=None)  # type: ignore[arg-type]  # Nothing is decoded here.
        self.start()

    def run(self) -> None:
        try:
            while self._read() or not self.last_look.is_set():
                pass
            self._read()
        except Broken as error:
            self.alarm = error.code

    def _read(self) -> bool:
        found = self._feed.read(self.seen[-1].position if self.seen else 0, 100)
        self.seen += [event.stored for event in found]
        return bool(found)


def follow_writers(
    log: PostgresLog, address: str, acks: list[Path], rounds: int
) -> tuple[Follower, list[int]]:
    """A writer for each of the files; the first three are killed while they write."""
    command = [sys.executable, "-m", "tests.contract.postgres_writer", address]
    many = [1_000_000 if n < KILLED else rounds for n in range(len(acks))]
    writers = [
        subprocess.Popen(
            [*command, f"{n}", f"{many[n]}", str(path)], cwd=ROOT, stdin=subprocess.DEVNULL
        )
        for n, path in enumerate(acks)
    ]
    reader = Follower(log)
    try:
        codes = let_them_write(log, writers, acks)
    finally:
        reader.last_look.set()
        for process in writers:
            process.kill()
    reader.join(60)
    return reader, codes


def let_them_write(
    log: PostgresLog, writers: list[subprocess.Popen[bytes]], acks: list[Path]
) -> list[int]:
    """Kills the first three in the middle; with what all of them ended."""
    chance = random.Random()
    for process, path in zip(writers[:KILLED], acks, strict=False):
        until(lambda path=path: path.exists() and path.read_text().count("\n") > 20)
        threading.Event().wait(chance.uniform(0, 0.02))
        process.kill()
    codes = [process.wait(60) for process in writers]
    until(lambda: not others_at_work(log))  # The server may still do what the dead had sent.
    return codes


def test_a_reader_gets_every_commit_of_writers_that_take_back_and_die(
    log: PostgresLog, address: str, tmp_path: Path
) -> None:
    acks = [tmp_path / f"acks-{n}" for n in range(WRITERS)]

    reader, codes = follow_writers(log, address, acks, rounds=120)

    lines = [line.split() for path in acks for line in path.read_text().splitlines()]
    acked = {event for line in lines for event in line[1:] if len(event) == 32}
    assert codes == [-signal.SIGKILL] * KILLED + [0] * (WRITERS - KILLED)
    assert sum(line[:1] == ["ROLLBACK"] for line in lines) > 50
    assert len(acked) > 1000
    assert reader.alarm == ""
    assert acked <= {event.event_id.hex() for event in reader.seen}
    assert [event.position for event in reader.seen] == list(range(1, log.head() + 1))
    assert reader.seen == everything(log)
    assert_in_order(log)


def test_with_a_plain_sequence_the_same_reader_raises_the_alarm(
    log: PostgresLog, database: str, address: str, tmp_path: Path
) -> None:
    hand_out_positions_by_a_sequence(database)

    reader, _ = follow_writers(log, address, [tmp_path / f"acks-{n}" for n in range(4)], rounds=20)

    assert reader.alarm == "log_has_hole"
    assert len(reader.seen) < len(everything(log))


def others_at_work(log: PostgresLog) -> list[tuple[object, ...]]:
    return log._ask(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query LIKE '%%log.append%%'"
    )


def lost_behind_a_slow_transaction(address: str) -> list[int]:
    """Positions that a reader which trusts positions never sees, when a transaction that began to
    write first commits last. Where one has to wait for the other, it is let through."""
    log = PostgresLog(address, connections=2)
    seen: list[int] = []

    def read_on() -> None:
        seen.extend(e.position for e in log.read_all(seen[-1] if seen else 0, 100))

    with closing(connect(address)) as slow, slow.cursor() as cursor:
        cursor.execute("BEGIN")
        call_append(slow, [entry("slow-1", 0, "a")])
        fast = threading.Thread(target=lambda: append(log, "fast-1", 0, "b"), daemon=True)
        fast.start()
        until(lambda: not fast.is_alive() or waiting(log))
        read_on()
        cursor.execute("COMMIT")
    fast.join(PATIENCE)
    read_on()
    lost = sorted({event.position for event in log.read_all(0, 100)} - set(seen))
    assert log.head() == 2
    log.close()
    return lost


def waiting(log: PostgresLog) -> bool:
    return bool(log._ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


def test_a_slow_transaction_that_commits_after_a_faster_one_is_not_lost(address: str) -> None:
    assert lost_behind_a_slow_transaction(address) == []


# Of each function: how it takes the lock and the positions. Instead of that numbers in a row, and
# the lock is let go at once: a commit waits for nobody.
LOCK = "PERFORM pg_advisory_xact_lock(7263001);"
HEAD = "UPDATE log.head SET position = position + added RETURNING position - added INTO base;"
DRAWN = """PERFORM pg_advisory_lock(7263001);
  SELECT max(nextval('log.plain')) - added INTO base FROM generate_series(1, added);
  PERFORM pg_advisory_unlock(7263001);"""
TAKES = {
    "append": (LOCK, HEAD, DRAWN),
    "append_one": (LOCK, HEAD.replace("added", "many"), DRAWN.replace("added", "many")),
    "append_event": (
        "nothing := pg_catalog.pg_advisory_xact_lock(7263001)::pg_catalog.text;",
        (
            "UPDATE log.head SET position = position OPERATOR(pg_catalog.+) 1"
            " RETURNING position INTO place;"
        ),
        (
            "PERFORM pg_advisory_lock(7263001); place := nextval('log.plain');"
            " PERFORM pg_advisory_unlock(7263001);"
        ),
    ),
}


def hand_out_positions_by_a_sequence(database: str) -> None:
    """What everybody writes first: positions from a sequence, and the head is what is there."""
    with closing(psycopg2.connect(server().address(database, OWNER))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(
            "CREATE SEQUENCE log.plain; GRANT USAGE ON log.plain TO pbxim_app;"
            "ALTER TABLE log.head RENAME TO old_head;"
            "CREATE VIEW log.head AS SELECT log_id, (SELECT coalesce(max(position), 0)"
            " FROM log.event) AS position FROM log.old_head;"
            "GRANT SELECT ON log.head TO pbxim_app"
        )
        for function, (lock, head, drawn) in TAKES.items():
            cursor.execute(f"SELECT pg_get_functiondef('log.{function}'::regproc)")
            ((source,),) = cursor.fetchall()
            assert lock in source
            assert head in source
            cursor.execute(source.replace(lock, "").replace(head, drawn))


def test_the_same_check_finds_what_a_plain_sequence_loses(database: str, address: str) -> None:
    hand_out_positions_by_a_sequence(database)

    assert lost_behind_a_slow_transaction(address) == [1]


def test_a_rolled_back_transaction_leaves_no_hole(log: PostgresLog, address: str) -> None:
    append(log, "order-1", 0, "a")
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        (outcome,) = call_append(connection, [entry("order-2", 0, "b", "c")])
        cursor.execute("ROLLBACK")

    assert outcome == Appended((2, 3))
    assert append(log, "order-3", 0, "d") == Appended((2,))
    assert log.read_stream("order-2") == []


def test_a_reader_stops_at_a_hole(log: PostgresLog, database: str) -> None:
    append(log, "order-1", 0, "a", "b")
    columns = ", ".join(Recorded._fields)
    moved = columns.replace("position", "position + 2").replace("stream", "'order-2'")
    like = f"INSERT INTO log.event SELECT {moved} FROM log.event WHERE position = 2"
    server().say(like, database)
    feed = Feed(log, codec=None)  # type: ignore[arg-type]  # Nothing is decoded here.

    with pytest.raises(Broken, match="log_has_hole: Behind 2 comes 4"):
        feed.read(0, 10)


def test_writers_of_many_streams_in_any_order_do_not_lock_each_other_out(
    address: str, log: PostgresLog
) -> None:
    logs = [PostgresLog(address, connections=1) for _ in range(WRITERS)]
    names = [f"order-{n}" for n in range(12)]

    def write(n: int) -> int:
        chance, written = random.Random(n), 0
        for _ in range(12):
            some = chance.sample(names, 6)
            versions = {name: len(found) for name, found in logs[n].read_streams(some).items()}
            entries = [entry(name, versions.get(name, 0), "x") for name in some]
            written += sum(isinstance(o, Appended) for o in logs[n].append_batch(entries))
        logs[n].close()
        return written

    written = sum(at_once(WRITERS, write))

    assert written == log.head() > 100
    assert_in_order(log)

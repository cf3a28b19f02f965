"""The database's own troubles: slow transactions, sessions that hang, another cluster."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
import uuid
from http.client import HTTPException
from pathlib import Path

import psycopg2

from deploy.up.migrate import prepare
from deploy.up.servers import _postgres_binaries
from shared.eventlog import Entry
from shared.eventlog.postgres_append import append
from tests.faults.distributed.run import Run
from tests.faults.distributed.scenarios.poison import new_event
from tests.faults.distributed.supervised import until

_READERS = {"orders", "numbers", "stock", "charges", "policy:orders", "policy:inventory"}
_KIND = "FaultsNoted"
_SECONDS = 240


def slow_transactions(run: Run) -> None:
    """Writers that began early and commit late, that roll back, that are killed in the middle, and
    a session that is idle in its transaction all the time."""
    idle = run.system.connection()
    idle.autocommit = False
    idle.cursor().execute("SELECT pg_current_xact_id(), count(*) FROM log.event")
    committed: list[str] = []
    for _ in range(3 if run.short else 10):
        writers = [
            threading.Thread(target=_write, args=(run, kind, committed), daemon=True)
            for kind in ("slow", "holding", "rolled back", "killed", "fast", "fast")
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
    idle.close()
    run.since = time.monotonic()
    found = _noted(run)
    assert sorted(found) == sorted(committed), "committed is not what is in the log"
    run.notes.append(f"{len(committed)} foreign commits in the log, each once")


def _write(run: Run, kind: str, committed: list[str]) -> None:
    connection = run.system.connection()
    connection.autocommit = False
    stream = f"faults-{uuid.uuid4().hex}"
    try:
        connection.cursor().execute("SELECT pg_current_xact_id()")  # It is old from here on.
        if kind != "fast":
            time.sleep(run.chance.random())
        append(connection, [Entry(stream, "faults", 0, (new_event(_KIND, b"{}"),))])
        if kind in {"holding", "killed"}:
            time.sleep(0.7)  # With the lock of the head: all others wait.
        if kind == "killed":
            _terminate(run, connection.get_backend_pid())
        if kind == "rolled back":
            connection.rollback()
        else:
            connection.commit()
            committed.append(stream)
    except psycopg2.Error:
        assert kind == "killed"
    finally:
        with contextlib.suppress(psycopg2.Error):
            connection.close()


def _terminate(run: Run, pid: int) -> None:
    with contextlib.closing(run.system.connection("postgres")) as connection:
        connection.cursor().execute("SELECT pg_terminate_backend(%s)", (pid,))


def _noted(run: Run) -> list[str]:
    with contextlib.closing(run.system.connection()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT stream FROM log.event WHERE type = %s", (_KIND,))
        return [stream for (stream,) in cursor.fetchall()]


def restored(run: Run) -> None:
    """All processes end, the database is dumped, put into a new cluster, and they begin again."""
    names = [name for name in run.system.names if name != "payments"]
    for name in names:
        run.system.halt(name)
    dump = run.system.folder / "dump"
    _tool("pg_dump", f"--dbname={address(run)}", "--format=custom", f"--file={dump}")
    place = _new_cluster(run)
    _tool("pg_restore", f"--dbname={address(run)}", "--exit-on-error", str(dump))
    for name in names:
        run.system.resume(name)
    run.since = run.system.listening()
    run.notes.append(f"dumped {dump.stat().st_size >> 10} kB, restored beside {place.name}")


def older_log(run: Run) -> None:
    """The log alone is put back to an earlier state, under read models and checkpoints that know
    more: whoever reads it has to refuse. What came since is lost, so nothing else is judged."""
    run.judged = False
    dump = run.system.folder / "older"
    _tool(
        "pg_dump", f"--dbname={address(run)}", "--format=custom", "--schema=log", f"--file={dump}"
    )
    time.sleep(8)
    run.load.stop()
    names = [name for name in run.system.names if name != "payments"]
    for name in names:
        run.system.halt(name)
    with contextlib.closing(psycopg2.connect(address(run))) as connection:
        connection.autocommit = True
        connection.cursor().execute("DROP SCHEMA log CASCADE")
    _tool("pg_restore", f"--dbname={address(run)}", "--exit-on-error", str(dump))
    for name in names:
        run.system.resume(name)
    run.system.listening()
    refusing = _READERS - set(_standing(run))
    until(lambda: set(_standing(run)) >= _READERS, 60, f"all refuse, also {refusing}")
    run.notes.append(f"{len(_standing(run))} consumers refuse the older log")


def _standing(run: Run) -> list[str]:
    try:
        consumers = run.load.probe.client.get("/readyz").body["consumers"]
    except (OSError, HTTPException, KeyError, TypeError):
        return []
    return [n for n, c in consumers.items() if "missing or another one" in (c["failure"] or "")]


def address(run: Run) -> str:
    """The product's database, as its superuser."""
    return run.system.servers.database("postgres").removesuffix("postgres") + "pbxim"


def _new_cluster(run: Run) -> Path:
    servers = run.system.servers
    old = run.system.pid("postgresql")
    run.system.halt("postgresql")
    place = servers.postgres_place / "data"
    aside = place.with_name(f"data-{uuid.uuid4().hex[:8]}")
    place.rename(aside)
    servers.postgres()  # Makes a cluster where there is none.
    run.system.resume("postgresql")
    run.system.back("postgresql", old)
    until(lambda: run.system.answers("port"), 30, "the new cluster answers")
    prepare(servers)
    return aside


def _tool(name: str, *words: str) -> None:
    command = [str(_postgres_binaries() / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

"""A store in PostgreSQL within nameko's processes, whose threads are green: none waits for ever."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.postgres import server

ROOT = Path(__file__).parents[2]
PROGRAM = """
import eventlet
eventlet.monkey_patch()
import sys
from sqlalchemy import text
from shared.stores.postgres import PostgresStore

store = PostgresStore(sys.argv[1], "state_gateway", durable=True, connections=2)
other = PostgresStore(sys.argv[1], "state_gateway", durable=True)

def count_up(n):
    for _ in range(10):
        with (store if n % 2 else other).write() as connection:
            found = connection.execute(text("SELECT n FROM counter")).scalar_one()
            eventlet.sleep(0)  # As where something inside is waited for: the others get on.
            connection.execute(text(f"UPDATE counter SET n = {found + 1}"))
        with store.read() as connection:
            eventlet.sleep(0)
            connection.execute(text("SELECT n FROM counter")).scalar_one()

pool = eventlet.GreenPool(12)
list(pool.imap(count_up, range(12)))
"""


def test_green_threads_of_two_processes_take_turns() -> None:
    database = server().store_database()
    server().say("CREATE TABLE state_gateway.counter AS SELECT 0 AS n", database)
    server().say("GRANT ALL ON state_gateway.counter TO pbxim_app", database)
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, server().address(database)]

    def run(_n: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
        )

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, range(2)))

    assert [(one.returncode, one.stderr[-2000:]) for one in ended] == [(0, "")] * 2
    server().say(
        "DO $$ BEGIN IF (SELECT n FROM state_gateway.counter) <> 240 THEN"
        " RAISE 'turns were lost'; END IF; END $$",
        database,
    )

"""A process that writes into PostgreSQL, and takes back some of what it writes.

``python -m tests.contract.postgres_writer ADDRESS NAME ROUNDS ACKS`` appends to a stream of its
own, to one that all writers share, or to both; 15 of 100 transactions are rolled back after they
had their positions. The ids of what was committed are in the file ACKS before the next append
begins.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from shared.eventlog import Appended, Entry
from shared.eventlog.postgres_append import append_shortly
from shared.eventlog.postgres_pool import Connection, connect
from tests.contract.log_writer import SHARED, entry, new_event

ROLLED_BACK = 0.15


def _version(connection: Connection, stream: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM log.stream WHERE stream = %s", (stream,))
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def _in_transaction(connection: Connection, entries: list[Entry], how: str) -> list[Entry]:
    """Answers with what is in the log now."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        outcomes = append_shortly(connection, entries)
        cursor.execute(how)
    written = [e for e, o in zip(entries, outcomes, strict=True) if isinstance(o, Appended)]
    return written if how == "COMMIT" else []


def main(address: str, name: str, rounds: str, acks: str) -> None:
    """What the command line says."""
    chance = random.Random(name)
    connection = connect(address)
    own = f"own-{name}"
    with Path(acks).open("a") as file:
        for n in range(int(rounds)):
            shared = Entry(SHARED, "shared", _version(connection, SHARED), (new_event(name),))
            texts = [str(n)] * chance.randint(1, 5)
            mine = entry(own, _version(connection, own), *texts)
            entries = chance.choice(([shared, mine], [shared], [mine]))
            how = "ROLLBACK" if chance.random() < ROLLED_BACK else "COMMIT"
            written = _in_transaction(connection, entries, how)
            ids = [event.event_id.hex() for one in written for event in one.events]
            file.write(" ".join([how, *ids]) + "\n")
            file.flush()
            os.fsync(file.fileno())
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

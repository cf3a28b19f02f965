"""A process as nameko's are, with its log in KurrentDB: ``python -m ... ADDRESS``.

Twenty green threads append and read a hundred events; the longest time in which nothing else could
run is printed, with what was done.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402  # Patched before anything else is loaded, as nameko's command line does.
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from shared.eventlog.kurrentdb import KurrentLog  # noqa: E402
from tests.contract.log_writer import append  # noqa: E402

WRITERS, EACH = 20, 5


def main(address: str) -> None:
    """What the command line says."""
    gaps, rung = [0.0], threading.Event()
    log = KurrentLog(address, rung.set)

    def tick() -> None:
        last = time.monotonic()
        while True:
            eventlet.sleep(0.001)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    def write(n: int) -> int:
        for version in range(EACH):
            append(log, f"order-{n}", version, "a")
        return len(log.read_stream(f"order-{n}"))

    with eventlet.Timeout(30):
        ticking = eventlet.spawn(tick)
        pool = eventlet.GreenPool(WRITERS)
        read = sum(pool.imap(write, range(WRITERS)))
        everything = len(log.read_all(0, 1000))
        ticking.kill()
        rung.clear()
        other = KurrentLog(address)
        append(other, "other-1", 0, "a")
        heard = rung.wait(10)
        other.close()
        log.close()
    found = {"read": read, "everything": everything, "heard": heard, "ticks": len(gaps)}
    sys.stdout.write(json.dumps(found | {"longest": max(gaps)}))


if __name__ == "__main__":
    main(*sys.argv[1:])

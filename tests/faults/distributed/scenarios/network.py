"""The network between the processes and their servers is slow, silent, cut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.distributed.proxy import Proxy
from tests.faults.distributed.run import Run
from tests.faults.distributed.supervised import until


def network(run: Run) -> None:
    """Everything goes through a proxy: first slow, then cut again and again, then silent towards
    the database, then towards the broker."""
    with _between(run) as (database, broker):
        database.delay = broker.delay = 0.02
        time.sleep(5 if run.short else 15)
        database.delay = broker.delay = 0.0
        for _ in range(5):
            run.notes.append(f"cut {database.cut()} and {broker.cut()} connections")
            time.sleep(1 + run.chance.random())
        run.useful(time.monotonic())
        for proxy in (database, broker):
            proxy.silent = True
            time.sleep(5 if run.short else 20)
            proxy.silent = False
            run.useful(time.monotonic())


@contextmanager
def _between(run: Run) -> Iterator[tuple[Proxy, Proxy]]:
    ports = [str(run.system.servers.port(name)) for name in ("port", "broker_port")]
    proxies = Proxy(int(ports[0])), Proxy(int(ports[1]))
    through = [str(proxy.port) for proxy in proxies]
    _rewire(run, ports, through)
    try:
        yield proxies
    finally:
        _rewire(run, through, ports)
        for proxy in proxies:
            proxy.close()


def _rewire(run: Run, old: list[str], new: list[str]) -> None:
    def change(text: str) -> str:
        for was, will in zip(old, new, strict=True):
            text = text.replace(f"@127.0.0.1:{was}/", f"@127.0.0.1:{will}/")
        return text

    run.system.configure(change)
    until(lambda: all(map(run.system.pid, run.system.names)), 60, "all processes run again")
    run.load.useful_again(time.monotonic(), 120)

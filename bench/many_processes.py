"""The distributed system as ``make up`` starts it, on a filled log, and what its processes use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from bench.filling import Filler, environment
from bench.folders import SHARE
from bench.machine import cpu_seconds, pss_mb
from bench.product import ROOT, Product
from bench.report import check
from bench.run import Run
from bench.servers import remove, servers
from bench.stock import file_blocks
from deploy.up.servers import Servers
from shared import config

_STATS_SECONDS = 1.5  # Sessions of PostgreSQL tell their counts when they were idle for a second.
_SETTLED_SECONDS = 60.0


@dataclass(frozen=True)
class Used:
    """CPU seconds of every program so far, and rows of the log's table."""

    cpu: dict[str, float]
    rows_read: int
    rows_written: int


class ManyProcesses(Product):
    """The running system: a process per service and per runner, relay, gateway, servers."""

    module = ("deploy.up", "up")
    stop_seconds = 60.0

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.servers = Servers(data / "up")
        self.pids = self._pids()

    def used(self) -> Used:
        """What it has used since its start."""
        time.sleep(_STATS_SECONDS)
        read, written = self._rows()
        return Used({n: cpu_seconds(pid) for n, pid in self.pids.items()}, read, written)

    def memory(self) -> dict[str, float]:
        """MB of each program now."""
        return {name: pss_mb(pid) for name, pid in self.pids.items()}

    def settled(self) -> None:
        """Waits until every read model has come to the end of the log."""
        end = time.monotonic() + _SETTLED_SECONDS
        while True:
            ready = self._status()["ready"]
            lags = [found["lag"] for found in ready.get("consumers", {}).values()]
            if ready.get("ready") and not any(lags):
                return
            check(time.monotonic() < end, f"the read models do not catch up: {ready}")
            time.sleep(0.2)

    def _pids(self) -> dict[str, int]:
        found = {}
        for name, words in self._status()["processes"].items():
            if " pid " in words:
                found[name] = int(words.split(" pid ")[1].split(",")[0])
        return found

    def _status(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "deploy.up", "status", "--json"]
        told = os.environ | environment() | {"PBXIM_DATA": str(self.data)}
        done = subprocess.run(
            command, cwd=ROOT, env=told, capture_output=True, check=True, timeout=30
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _rows(self) -> tuple[int, int]:
        asked = (
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0), n_tup_ins "
            "FROM pg_stat_user_tables WHERE schemaname = 'log' AND relname = 'event'"
        )
        address = self.servers.database("pbxim_owner")
        with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
            cursor.execute(asked)
            read, written = cursor.fetchone() or (0, 0)
        return int(read), int(written)


def settings_for(data: Path, own: Servers) -> config.Settings:
    """Those of a process that works on the servers of a folder."""
    place = own.database()
    told = {"PBXIM_DATA": str(data), "PBXIM_LOG": place, "PBXIM_DATABASE": place}
    return config.load(environment() | told)


def fill(data: Path, purchases: int, accounts: int) -> None:
    """The stock of the project's file and so many purchases, in a PostgreSQL of its own."""
    data.mkdir(parents=True)
    with servers(data / "up") as own:
        filler, stock = Filler(data, settings=settings_for(data, own)), file_blocks()
        filler.add_accounts(accounts)
        filler.add_stock(stock)
        filler.buy(purchases, stock, SHARE)
        filler.build_views()
        filler.close()


def _complaints(said: Path) -> str:
    """What the processes logged as errors, with the lines that follow: it is gone afterwards."""
    lines = said.read_text(errors="replace").splitlines()
    found = [n for n, line in enumerate(lines) if "[error" in line][:3]
    return "\n".join(line for n in found for line in lines[n : n + 60])


@contextmanager
def many_processes(run: Run) -> Iterator[ManyProcesses]:
    """The system on a filled log; nothing of it is left afterwards."""
    data = run.work / "used" / "distributed"
    try:
        fill(data, run.sizes.purchases // 10, run.sizes.accounts)
        product = ManyProcesses(data)
        try:
            product.settled()
            yield product
        except BaseException:
            print(_complaints(data.parent / f"{data.name}.log"), file=sys.stderr)
            raise
        finally:
            product.stop()
    finally:
        remove(data / "up")

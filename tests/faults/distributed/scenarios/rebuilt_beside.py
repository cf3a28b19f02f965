"""Every read model is built anew beside those that are read, while customers buy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPException

from deploy.up.servers import Servers
from shared import failpoints
from tests.faults.distributed.run import Run
from tests.faults.distributed.scenarios.rebuilt import head_of
from tests.faults.distributed.supervised import WEAKENED, until
from tests.support.product import ROOT

_LEAST = 120  # Acknowledged commands before: else there is no middle.
_NAME = "rebuild"
_SECONDS = 90.0
# What somebody with a card and a number sees, and what a shop always has.
_LISTS = (
    "/v1/numbers?limit=1",
    "/v1/orders?limit=1",
    "/v1/payment-methods",
    "/v1/available-numbers?country=US&type=geographic&limit=1",
)
# Of the exchanges of some fifteen read models: which one it dies in.
_DEATHS = (("swap.before", 5), ("swap.after", 3))


def rebuilt_beside(run: Run) -> None:
    """``pbxim projections rebuild`` is killed in the middle, before an exchange and after one, and
    run to its end. Whoever looks sees full lists all the time, nobody is told that a card is
    missing, and two at once are one too many."""
    until(lambda: run.load.ledger.count >= _LEAST, 120, "customers have bought")
    with _looking(run) as seen:
        _die_in_the_middle(run)
        for place, times in _DEATHS:
            failpoints.order(run.system.points, _NAME, place, times)
            _killed(run, _rebuild(run), place)
        _two_at_once(run)
    run.since = time.monotonic()
    run.notes.append(f"looks at lists meanwhile: {dict(seen)}")
    assert seen["filled"] > 0
    assert not [what for what in seen if what.startswith("empty")], dict(seen)
    refused = {line.answer.get("code") for line in run.load.ledger.lines()}
    told = {code for customer in run.load.everybody() for code in customer.notes.told}
    assert "payment_method_required" not in refused | told


def _die_in_the_middle(run: Run) -> None:
    mark = run.system.points / f"{_NAME}.died"
    mark.unlink(missing_ok=True)
    middle = head_of(run) // 2
    _killed(run, _rebuild(run, f"slowly:numbers@{middle}"), f"the event {middle}")
    assert mark.exists()


def _killed(run: Run, process: subprocess.Popen[str], where: str) -> None:
    said, talk = process.communicate(timeout=_SECONDS)
    assert process.returncode == -signal.SIGKILL, (where, said, talk)
    run.kills += 1
    run.notes.append(f"killed at {where}")


def _two_at_once(run: Run) -> None:
    began, processes = time.monotonic(), [_rebuild(run), _rebuild(run)]
    told = [process.communicate(timeout=_SECONDS) for process in processes]
    assert sorted(p.returncode for p in processes) == [0, 1], told
    assert any("rebuild_running" in talk for _, talk in told), told
    ((said, _),) = (one for one, p in zip(told, processes, strict=True) if p.returncode == 0)
    models = [line for line in said.splitlines() if line.endswith("is read now")]
    assert len(models) == len(said.splitlines()) > 10, said  # All of them.
    run.notes.append(f"{len(models)} read models anew in {time.monotonic() - began:.1f} s")


def _rebuild(run: Run, weakness: str = "") -> subprocess.Popen[str]:
    module = ["-m", WEAKENED, weakness, "deploy.cli"] if weakness else ["-m", "deploy.cli"]
    return subprocess.Popen(
        [sys.executable, *module, "projections", "rebuild"],
        cwd=ROOT,
        env=os.environ | _environment(run),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _environment(run: Run) -> dict[str, str]:
    system, servers = run.system, Servers(run.system.up)
    return {
        "PBXIM_MODE": "sandbox",
        "PBXIM_DATA": str(system.product.data),
        "PBXIM_LOG": servers.database(),
        "PBXIM_DATABASE": servers.database(),
        "PBXIM_PROCESS": _NAME,
        "PBXIM_FAILPOINT": f"orders:{system.points}",
        "FAULTS_FOLDER": str(system.points),
    }


@contextlib.contextmanager
def _looking(run: Run) -> Iterator[Counter[str]]:
    client, seen, ended = run.load.customers[0].client, Counter[str](), threading.Event()

    def look(path: str) -> None:
        while not ended.wait(0.05):
            with contextlib.suppress(OSError, HTTPException):
                answer = client.ask("GET", path, timeout=10)
                what = f"{answer.status} {answer.code}".strip()
                if answer.status == 200:  # HTTP.
                    what = "filled" if answer.body["data"] else f"empty {path}"
                seen[what] += 1

    threads = [threading.Thread(target=look, args=(path,), daemon=True) for path in _LISTS]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join(20)

"""A call of ours by RabbitMQ beside an empty one, alone and while others buy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from bench.buyers import Plan, buying
from bench.machine import median, quantile
from bench.many_processes import ManyProcesses
from bench.product import ROOT, Api
from bench.report import Figure, check
from bench.run import Run
from deploy.rpc_client import RpcClient
from shared.errors import Unavailable
from shared.rpc import CallContext

_TURN = 0.25
_RATE = 20.0
_PAUSE = 0.02
_START_SECONDS = 30.0


def calls(product: ManyProcesses, run: Run, keys: tuple[str, ...]) -> list[Figure]:
    """``get_number`` of the first buyer's numbers."""
    number, context = _owned(product, keys[0])
    with closing(RpcClient(product.servers.broker)) as client, _echo(product, client, context):
        ask = partial(_ask, client, context, number)
        echo = partial(_echoed, client, context, number)
        ours, theirs = _in_turns(run.seconds(8), ask, echo)
        plan = Plan(base_url=product.base_url, keys=keys, seconds=run.seconds(20), rate=_RATE)
        with buying(plan) as buyers:
            waited = list(_while(lambda: buyers.running, ask))
            bought = buyers.result()
    bought.verify()
    return [
        Figure(
            what="distributed: calls of get_number by one caller",
            value=1 / median(ours),
            unit="/s",
            at_least=0.85 / median(theirs),
            peer=1 / median(theirs),
            peer_is="an empty nameko method",
            note=f"of the median: {1000 * median(ours):.2f} and {1000 * median(theirs):.2f} ms",
        ),
        Figure(
            what=f"distributed: get_number while {bought.per_second:.0f}/s are bought, p99",
            value=1000 * quantile(waited, 0.99),
            unit="ms",
            at_most=50,
            note=f"{len(waited)} calls, p50 {1000 * median(waited):.1f} ms; wanted {_RATE:.0f}/s",
        ),
    ]


def _owned(product: ManyProcesses, key: str) -> tuple[str, CallContext]:
    client = Api(product.base_url, key)
    status, page = client.ask("GET", "/v1/numbers?limit=1")
    client.close()
    check(status == 200 and page["data"], f"no number: {page}")
    (row,) = page["data"]
    account_id = row["account_id"]
    return row["number"], CallContext(
        account_id=account_id, actor="key:bench", roles=("owner",), correlation_id="bench"
    )


def _ask(client: RpcClient, context: CallContext, number: str) -> None:
    found = client.call("orders", "get_number", context, number_or_num_id=number)
    check(found["number"] == number, "get_number says another number")


def _echoed(client: RpcClient, context: CallContext, said: str) -> None:
    check(client.call("echo", "echo", context, said=said) == said, "the echo is another")


@contextmanager
def _echo(product: ManyProcesses, client: RpcClient, context: CallContext) -> Iterator[None]:
    nameko = str(Path(sys.executable).with_name("nameko"))
    child = subprocess.Popen(
        [nameko, "run", "--config", "deploy/nameko.yaml", "bench.echo:EchoService"],
        cwd=ROOT,
        env=os.environ | {"PBXIM_AMQP": product.servers.broker, "PYTHONWARNINGS": "ignore"},
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_there(lambda: _echoed(client, context, "there"))
        yield
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def _until_there(work: Callable[[], None]) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            work()
        except Unavailable:
            check(time.monotonic() < end, "the empty service does not answer")
            time.sleep(_PAUSE)
        else:
            return


def _in_turns(seconds: float, *works: Callable[[], None]) -> tuple[list[float], list[float]]:
    spent: tuple[list[float], list[float]] = ([], [])
    for turn in range(2 * max(4, round(seconds / _TURN))):
        end = time.perf_counter() + _TURN
        while time.perf_counter() < end:
            spent[turn % 2].append(_timed(works[turn % 2]))
    return spent


def _while(goes_on: Callable[[], bool], work: Callable[[], None]) -> Iterator[float]:
    while goes_on():
        yield _timed(work)
        time.sleep(_PAUSE)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

"""All processes are killed, every read model is deleted: the log alone makes it what it was."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deploy.stores import SERVICES
from deploy.up.servers import Servers
from shared.eventlog.postgres_pool import connect
from tests.e2e.test_buying import ended, order_of
from tests.support.children import Output
from tests.support.product import ApiClient, Product

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(300)]
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2).
LISTS = (
    "/v1/numbers?limit=100",
    "/v1/orders?limit=100",
    "/v1/payment-methods",
    "/v1/balance",
    "/v1/available-numbers?country=US&limit=100",
    "/v1/countries",
)


def test_killed_and_without_read_models_it_comes_back_as_it_was(tmp_path: Path) -> None:
    product = Product(tmp_path / "var", distributed=True).start()
    clients = [product.open_account() for _ in range(2)]
    for client in clients:
        order = client.post("/v1/orders?wait=20", order_of(client))
        assert ended(client, order.body["id"])["status"] == "fulfilled"
    quote = clients[0].post("/v1/quotes", order_of(clients[0]))
    assert quote.status == 201
    before = [shown(client) for client in clients]

    kill_everything(product)
    servers_alone(product)
    product.start()

    moved = [ApiClient(product.demo["base_url"], client.key) for client in clients]
    end = time.monotonic() + 60
    while (after := [shown(client) for client in moved]) != before and time.monotonic() < end:
        time.sleep(0.1)  # They are filled again; nothing else says when that is over.
    assert after == before
    order = moved[0].post("/v1/orders?wait=20", {"quote_id": quote.body["id"]})
    assert ended(moved[0], order.body["id"])["status"] == "fulfilled"
    product.stop()
    product.forget()


def shown(client: ApiClient) -> list[Any]:
    """What a customer sees."""
    return [client.get(path).body for path in LISTS]


def kill_everything(product: Product) -> None:
    """Kill -9, servers included: first who would start the others again."""
    folder = product.data / "up"
    parent = int((folder / "supervisord.pid").read_text())
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    with orphans_are_ours():
        product.kill()
        for pid in (parent, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        # A dead one that nobody asks for its status keeps its number, and PostgreSQL its lock.
        for pid in (parent, *map(int, children)):
            os.waitpid(pid, 0)
    end = time.monotonic() + 20
    # RabbitMQ's machine is the child of a shell; PostgreSQL's hold its memory while they live.
    while (left := left_of(folder)) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)  # They are not our children, so nobody tells us.
    assert left_of(folder) == []


@contextlib.contextmanager
def orphans_are_ours() -> Iterator[None]:
    """What has lost its parent becomes our child, and not that of the machine's first process."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        libc.prctl(_SUBREAPER, 0, 0, 0, 0)


def left_of(folder: Path) -> list[int]:
    """Processes that have the folder in their environment, or work in the cluster's."""
    command = Servers(folder).postgres().command
    cluster = command[command.index("-D") + 1]
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = f"={folder}/".encode() in (place / "environ").read_bytes()
            if told or (place / "cwd").readlink() == Path(cluster):
                found.append(int(place.name))
    return [pid for pid in found if pid != os.getpid()]


def servers_alone(product: Product) -> None:
    """Drops the schemas of all read models, while only PostgreSQL runs."""
    servers = Servers(product.data / "up")
    program = servers.postgres()
    who = ["setpriv", f"--reuid={program.user}", f"--regid={program.user}", "--clear-groups"]
    command = [*(who if program.user else []), *program.command]
    output = Output(product.data / "up" / "log" / "postgresql-alone.log")
    with (
        output.opened() as log,
        subprocess.Popen(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ) as running,
    ):
        try:
            output.line_with(b"ready to accept connections", running)
            drop_views(servers.database("postgres").rpartition("/")[0] + "/pbxim")
        finally:
            running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0


def drop_views(address: str) -> None:
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        for service in SERVICES:
            cursor.execute(f"DROP SCHEMA views_{service} CASCADE")

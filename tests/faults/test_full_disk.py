"""The product on a disk that fills up while it runs, and has room again."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.payment_sandbox.book import Book
from tests.e2e.test_buying import ended, order_of
from tests.support.product import Answer, ApiClient, Product

SIZE = "64m"
MOST_ORDERS = 3000
NO_DISK = (
    "This test fills a disk of its own: it needs root and the right to mount a tmpfs (in a "
    "container: --cap-add SYS_ADMIN). Without them: make test-fast."
)
ROOMS = (0, 12_288, 40_960, 131_072)


@dataclass
class Disk:
    """A disk of its own for the data folder."""

    folder: Path

    def fill(self, but: int) -> None:
        """Leaves so many bytes of room, in whole pages."""
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1):
                while _written(ballast.fileno(), size):
                    pass
            ballast.truncate(ballast.tell() - but)

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()


def _written(file: int, size: int) -> bool:
    try:
        return os.write(file, b"\0" * size) == size
    except OSError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "var"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mounted, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{NO_DISK} mount says: {done.stderr}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def order_until_refused(client: ApiClient, body: dict[str, Any]) -> tuple[list[str], Answer, str]:
    """Orders until one is refused: the ids of those that were taken, the refusal and its key."""
    taken: list[str] = []
    for _ in range(MOST_ORDERS):
        key = uuid.uuid4().hex
        answer = client.post("/v1/orders", body, key)
        if answer.status != 201:
            return taken, answer, key
        taken.append(answer.body["id"])
    raise AssertionError("the disk was never full")


def until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)  # A client has nothing but asking again.
    return True


@pytest.mark.slow
def test_a_full_disk_refuses_cleanly_and_what_was_begun_goes_on_when_there_is_room(
    disk: Disk,
) -> None:
    """More room each time, so that it ends at another place: in the key's row, in the log, in a
    checkpoint, in the answer that is kept, in the provider's book."""
    product = Product(disk.folder).start()
    try:
        client, mine = product.open_account(), set()
        for room in ROOMS:
            mine |= fill_and_make_room(disk, client, room)
        assert_whole(client, disk.folder / "payment_sandbox", mine)
    finally:
        product.stop()


def fill_and_make_room(disk: Disk, client: ApiClient, room: int) -> set[str]:
    """Orders until the disk is full, then lets it have room: the ids of the orders there are."""
    body = order_of(client)
    disk.fill(but=room)
    taken, refused, key = order_until_refused(client, body)
    print(f"with {room} bytes of room {len(taken)} orders were taken")
    assert_refused(refused)
    for path in ("/livez", "/v1/orders", "/v1/available-numbers?country=US", "/v1/numbers"):
        assert client.get(path).status == 200, path
    ready = client.get("/readyz")
    assert (ready.status, ready.body["status"], ready.body["storage"]) == (503, "not_ready", "full")

    disk.make_room()
    assert until(lambda: client.get("/readyz").status == 200, 20)
    repeated = client.post("/v1/orders?wait=20", body, key)
    assert repeated.status == 201, repeated
    ids = {*taken, repeated.body["id"]}
    assert [ended(client, one)["status"] for one in ids] == ["fulfilled"] * len(ids)
    return ids


def assert_refused(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "storage_full"), answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["next_step"]
    assert int(answer.headers["Retry-After"]) >= 1


def assert_whole(client: ApiClient, payments: Path, mine: set[str]) -> None:
    """These orders and no others; each was paid once and has its number."""
    orders = [o for o in everything(client, "/v1/orders") if o["kind"] == "purchase"]
    assert {o["id"] for o in orders} == mine
    paid = [c.metadata["order_id"] for c in Book(payments).charges() if c.status == "succeeded"]
    assert sorted(paid) == sorted(mine)
    numbers = [n for n in everything(client, "/v1/numbers") if n["origin"] == "purchased"]
    assert len(numbers) == len(mine)


def everything(client: ApiClient, path: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    page = client.get(f"{path}?limit=100").body
    rows += page["data"]
    while page["has_more"]:
        page = client.get(f"{path}?limit=100&cursor={page['next_cursor']}").body
        rows += page["data"]
    return rows

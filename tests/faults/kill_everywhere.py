"""Kills the product with SIGKILL at every fail-point of a purchase, restarts it, and judges.

Run as a program: ``python -m tests.faults.kill_everywhere FOLDER SHARD SHARDS``. It imports the
product once and forks a process per try, so that hundreds of kills take a minute. One JSON line per
try is printed; the last line says how many fail-points were planned and how many were reached.

The client behaves as a careful one: it writes down what it asks for before it asks, and repeats a
request that got no answer with the same Idempotency-Key.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from deploy.embedded import Embedded
from deploy.payment_sandbox.book import Book
from deploy.payments import start_payments
from shared import config, failpoints
from shared.config import Settings
from shared.eventlog.sqlite import SqliteLog

_ENDED = {"fulfilled", "failed", "refunded", "needs_operator"}
_PATIENCE_SECONDS = 30.0
_STOCK = """country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,\
min_period_months,per_minute,connect_fee,currency,billing_increments
US,MD,Rockville,301,geographic,+13012791100,10,true,0.50,1.26,1,0.0085,0.0000,USD,60/1
"""


class NoAnswer(Exception):
    """The connection ended without an answer: nobody knows whether it was done."""


@dataclass
class Client:
    """Speaks HTTP to whichever process runs now."""

    key: str
    port: int = 0

    def ask(
        self, method: str, path: str, body: Any = None, key: str | None = None, kind: str = ""
    ) -> tuple[int, Any]:
        """One request. Raises ``NoAnswer`` when the process died in the middle."""
        headers = {"Authorization": f"Bearer {self.key}"}
        headers["Content-Type"] = kind or "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        raw = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        connection = HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            connection.request(method, path, raw, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise NoAnswer(path) from error
        finally:
            connection.close()
        return answer.status, json.loads(text) if text else None


@contextmanager
def forked(settings: Settings, spec: str | None) -> Iterator[tuple[int, int]]:
    """The product in a forked process: (pid, port). Killed when the block ends."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _run(settings, spec, writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        port = int(pipe.readline() or 0)
    try:
        yield pid, port
    finally:
        kill(pid)


def kill(pid: int) -> None:
    """Ends a child at once, if it still runs, and takes its body away."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def _run(settings: Settings, spec: str | None, writer: int) -> None:
    # In the child. It never returns into the harness.
    try:
        embedded = Embedded(settings, demo=spec == "demo")
        embedded.start()
        if spec != "demo":
            failpoints.arm(spec)
        os.write(writer, f"{embedded.settings.port}\n".encode())
        while True:
            signal.pause()
    finally:
        os._exit(1)


def buy(client: Client, ledger: dict[str, Any]) -> None:
    """One purchase: quote, order. What the client knows goes into the ledger as it learns it."""
    status, found = client.ask("GET", "/v1/available-numbers?country=US")
    assert status == 200, found
    offer = found["data"][0]["offer_id"]
    items = {"items": [{"offer_id": offer, "quantity": 1}]}
    status, quote = client.ask("POST", "/v1/quotes", items, ledger["quote_key"])
    assert status in {200, 201}, quote
    ledger["quote"] = quote["id"]
    order = {"quote_id": quote["id"]}
    status, answer = client.ask("POST", "/v1/orders?wait=20", order, ledger["order_key"])
    assert status in {200, 201}, answer
    ledger["orders"].append(answer["id"])
    ledger["last"] = answer


def wait_for_end(client: Client, order_id: str) -> Any:
    """The order once it has ended; whatever it is when patience is over."""
    end = time.monotonic() + _PATIENCE_SECONDS
    answer: Any = None
    while time.monotonic() < end:
        _, answer = client.ask("GET", f"/v1/orders/{order_id}")
        if answer["status"] in _ENDED:
            return answer
        time.sleep(0.05)  # A client has nothing but asking again.
    return answer


class Harness:
    """One template of data, copied for every try; one payment sandbox for all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template"
        base = config.load({"PBXIM_MODE": "sandbox", "PBXIM_HTTP": "127.0.0.1:0"})
        base = replace(base, data=folder / "payments", port=0)
        self.settings, self.child = start_payments(base)
        self.book = Book(folder / "payments" / "payment_sandbox")

    def prepare(self) -> None:
        """Makes the template: stock, an account, a card."""
        with forked(self._in(self.template), "demo") as (_, port):
            demo = json.loads((self.template / "demo.json").read_text())
            staff = Client(demo["staff_api_key"], port)
            self._open_account(staff, port)
        failpoints.arm(None)

    def _open_account(self, staff: Client, port: int) -> None:
        wanted = {"name": "Kill Test", "email": "kill@example.com", "country": "AU"}
        status, account = staff.ask("POST", "/v1/accounts", wanted, uuid.uuid4().hex)
        assert status == 201, account
        self.key = account["api_key"]
        status, job = staff.ask("POST", "/v1/stock/imports", _STOCK, uuid.uuid4().hex, "text/csv")
        assert status == 202, job
        while job["status"] not in {"done", "failed"}:
            _, job = staff.ask("GET", f"/v1/jobs/{job['id']}")
        mine = Client(self.key, port)
        card = {"payment_method": "pm_card_visa"}
        status, answer = mine.ask("POST", "/v1/payment-methods", card, uuid.uuid4().hex)
        assert status == 201, answer

    def _in(self, data: Path) -> Settings:
        return replace(self.settings, data=data, key_file=data / "master.key")

    def attempt(self, name: str, spec: str | None) -> dict[str, Any]:
        """One purchase in a fresh copy, killed as the spec says, brought to its end, judged."""
        data = self.folder / name
        shutil.copytree(self.template, data)
        client = Client(self.key)
        ledger = {"quote_key": uuid.uuid4().hex, "order_key": uuid.uuid4().hex, "orders": []}
        killed = self._first_life(client, data, spec, ledger)
        if killed or spec is None:
            self._second_life(client, data, ledger)
        verdict = self._judge(data, ledger) | {"try": name, "killed": killed}
        shutil.rmtree(data)
        return verdict

    def _first_life(
        self, client: Client, data: Path, spec: str | None, ledger: dict[str, Any]
    ) -> bool:
        with forked(self._in(data), spec) as (_, client.port):
            try:
                buy(client, ledger)
                ledger["last"] = wait_for_end(client, ledger["orders"][-1])
                _quiet(client)
            except NoAnswer:
                return True
        return False

    def _second_life(self, client: Client, data: Path, ledger: dict[str, Any]) -> None:
        with forked(self._in(data), None) as (_, client.port):
            buy(client, ledger)
            ledger["last"] = wait_for_end(client, ledger["orders"][-1])
            _quiet(client)
            _, ledger["numbers"] = client.ask("GET", "/v1/numbers")

    def _judge(self, data: Path, ledger: dict[str, Any]) -> dict[str, Any]:
        problems = list(_problems(ledger, self._charges(ledger), data))
        return {"status": ledger["last"]["status"], "problems": problems}

    def _charges(self, ledger: dict[str, Any]) -> list[Any]:
        wanted = set(ledger["orders"])
        return [c for c in self.book.charges() if c.metadata.get("order_id") in wanted]

    def close(self) -> None:
        """Ends the payment sandbox."""
        if self.child is not None:
            self.child.stop()


def _quiet(client: Client) -> None:
    # Everything that follows from the purchase has been seen by every consumer.
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        _, ready = client.ask("GET", "/readyz")
        if all(c["lag"] == 0 for c in ready["consumers"].values()):
            return
        time.sleep(0.02)  # See wait_for_end.


def _problems(ledger: dict[str, Any], charges: list[Any], data: Path) -> Iterator[str]:
    order = ledger["last"]
    if len(set(ledger["orders"])) != 1:
        yield f"the same order was placed {len(set(ledger['orders']))} times"
    paid = [c for c in charges if c.status == "succeeded"]
    if order["status"] not in {"fulfilled", "failed"}:
        yield f"the order ended {order['status']}"
    expected = 1 if order["status"] == "fulfilled" else 0
    if len(paid) != expected:
        yield f"{len(paid)} charges for an order that is {order['status']}"
    if any(c.amount_minor != 176 for c in paid):
        yield f"charged {[c.amount_minor for c in paid]} instead of 176"
    yield from _log_problems(data, order)


def _log_problems(data: Path, order: dict[str, Any]) -> Iterator[str]:
    log = SqliteLog(data / "log.db")
    events = log.read_all(0, 1_000_000)
    log.close()
    if [e.position for e in events] != list(range(1, len(events) + 1)):
        yield "positions have a hole"
    about = f'"{order["id"]}"'.encode()
    mine = [e.type for e in events if about in e.payload]
    for kind in ("OrderPlaced", "OrderPaid", "ChargeRequested", "ChargeSucceeded", "OrderFulfilled"):
        if mine.count(kind) > 1:
            yield f"{kind} is recorded {mine.count(kind)} times"
    bought = mine.count("NumberPurchased")
    if bought != (1 if order["status"] == "fulfilled" else 0):
        yield f"{bought} numbers recorded for an order that is {order['status']}"
    yield from _stock_problems(events)


def _stock_problems(events: list[Any]) -> Iterator[str]:
    # The last word about each number: held by nobody once everything has ended.
    last: dict[str, str] = {}
    allocated: dict[str, int] = {}
    for event in events:
        if event.category == "stock":
            last[event.stream] = event.type
            allocated[event.stream] = allocated.get(event.stream, 0) + (
                event.type == "NumberAllocated"
            )
    for stream, kind in last.items():
        if kind == "NumberHeld":
            yield f"{stream} is still held"
        if allocated[stream] > 1:
            yield f"{stream} was allocated {allocated[stream]} times"


def main(folder: Path, shard: int, shards: int, say: Callable[[Any], None]) -> None:
    """Plans the fail-points by a recorded purchase, then dies at each of this shard's."""
    harness = Harness(folder)
    try:
        harness.prepare()
        record = folder / "reached.txt"
        first = harness.attempt("record", f"record:{record}")
        planned = len(record.read_text().splitlines())
        say(first | {"planned": planned})
        mine = range(1 + shard, planned + 1, shards)
        tries = [harness.attempt(f"kill-{n}", f"kill:{n}") for n in mine]
        for one in tries:
            say(one)
        reached = sum(one["killed"] for one in tries)
        say({"planned": len(tries), "reached": reached})
    finally:
        harness.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), lambda d: print(json.dumps(d)))

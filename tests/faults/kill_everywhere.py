"""Kills the product with SIGKILL at every fail-point of a purchase, restarts it, and judges.

Run as a program: ``python -m tests.faults.kill_everywhere FOLDER SHARD SHARDS``. It imports the
product once and forks a process per try, so that hundreds of kills take a minute. One JSON line per
try is printed; the last line says how many fail-points were planned and how many were reached.

The client behaves as a careful one: it writes down what it asks for before it asks, and repeats a
request that got no answer with the same Idempotency-Key.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from deploy.assembly import assemble
from deploy.embedded import Embedded
from deploy.ground import all_specs
from deploy.payment_sandbox.book import Book
from deploy.payments import start_payments
from services import gateway
from services.gateway.app import create_app
from shared import config, failpoints
from shared.config import Settings
from shared.eventlog.sqlite import SqliteLog
from tests.support.made_once import made_once

_ENDED = {"fulfilled", "failed", "refunded", "needs_operator"}
_PATIENCE_SECONDS = 30.0
_TRIES = 3  # Consumers that see more at once reach fewer checkpoints than in the recorded purchase.


class NoAnswer(Exception):
    """The connection ended without an answer: nobody knows whether it was done."""


@dataclass
class Client:
    """Speaks HTTP to whichever process runs now."""

    key: str
    port: int = 0

    def ask(
        self, method: str, path: str, body: Any = None, key: str | None = None
    ) -> tuple[int, Any]:
        """One request. Raises ``NoAnswer`` when the process died in the middle."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        raw = json.dumps(body) if body is not None else None
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


class Life:
    """The product in a forked process, until it is killed."""

    def __init__(self, settings: Settings, *, demo: bool = False) -> None:
        port_out, port_in = os.pipe()
        spec_out, spec_in = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(port_out)
            os.close(spec_in)
            _run(settings, spec_out, port_in, demo=demo)
        os.close(port_in)
        os.close(spec_out)
        self._answers = os.fdopen(port_out)
        self._orders = os.fdopen(spec_in, "w")
        self.port = int(self._answer() or 0)
        assert self.port, "the product did not start"

    def arm(self, spec: str) -> None:
        """Sets the fail-points of the running process."""
        print(spec, file=self._orders, flush=True)
        assert self._answer() == "armed\n"

    def _answer(self) -> str:
        # One line for each question, so nothing waits in a buffer that cannot be looked for.
        ready, _, _ = select.select([self._answers], [], [], _PATIENCE_SECONDS)
        assert ready, f"the product does not answer; its process is {self.pid}"
        return self._answers.readline()

    def end(self) -> None:
        """Kills it, if it still runs, and takes its body away."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return
        finally:
            self._answers.close()
            self._orders.close()


def _run(settings: Settings, specs: int, answers: int, *, demo: bool) -> None:
    # In the child. It never returns into the harness.
    try:
        embedded = Embedded(settings, demo=demo)
        embedded.start()
        os.write(answers, f"{embedded.settings.port}\n".encode())
        with os.fdopen(specs) as lines:
            for line in lines:
                failpoints.arm(line.strip())
                os.write(answers, b"armed\n")
    finally:
        os._exit(1)


def _build_once(settings: Settings) -> None:
    # Parts load when they are asked for. Asked for here, every life finds them loaded.
    assembly = assemble(settings, (*all_specs(), gateway.spec()))
    create_app(assembly.runtime, assembly.client, assembly.status)
    assembly.close()
    gc.freeze()  # What the lives share stays shared.


def buy(client: Client, ledger: dict[str, Any]) -> None:
    """One purchase: quote, order. What the client knows goes into the ledger as it learns it."""
    status, found = client.ask("GET", "/v1/available-numbers?country=US")
    assert status == 200, found
    offer = found["data"][0]["offer_id"]
    items = {"items": [{"offer_id": offer, "quantity": 1}]}
    status, quote = _patiently(client, "/v1/quotes", items, ledger["quote_key"])
    assert status in {200, 201}, quote
    ledger["amount"] = round(float(quote["due_now"]["amount"]) * 100)
    order = {"quote_id": quote["id"]}
    status, answer = _patiently(client, "/v1/orders?wait=20", order, ledger["order_key"])
    assert status in {200, 201}, answer
    ledger["orders"].append(answer["id"])
    ledger["last"] = answer


def _patiently(client: Client, path: str, body: Any, key: str) -> tuple[int, Any]:
    # "The first request with this key is still running" says to ask again.
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        status, answer = client.ask("POST", path, body, key)
        if status != 409 or answer["code"] != "idempotency_key_in_use" or time.monotonic() > end:
            return status, answer
        time.sleep(0.05)  # See wait_for_end.


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
    """One data folder, one payment sandbox, one life of the product after the other."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "var"
        base = config.load({"PBXIM_MODE": "sandbox", "PBXIM_HTTP": "127.0.0.1:0"})
        base = replace(base, data=folder / "payments", port=0)
        settings, self.child = start_payments(base)
        self.settings = replace(settings, data=self.data, key_file=self.data / "master.key")
        self.book = Book(folder / "payments" / "payment_sandbox")
        _build_once(replace(self.settings, data=folder / "built", key_file=folder / "key"))
        self.life = Life(self.settings, demo=True)
        self.client = Client(self._open_account(), self.life.port)
        card = {"payment_method": "pm_card_visa"}
        status, answer = self.client.ask("POST", "/v1/payment-methods", card, uuid.uuid4().hex)
        assert status == 201, answer
        _quiet(self.client)

    def _open_account(self) -> str:
        demo = json.loads((self.data / "demo.json").read_text())
        staff = Client(demo["staff_api_key"], self.life.port)
        wanted = {"name": "Kill Test", "email": "kill@example.com", "country": "AU"}
        status, account = staff.ask("POST", "/v1/accounts", wanted, uuid.uuid4().hex)
        assert status == 201, account
        return str(account["api_key"])

    def attempt(self, name: str, spec: str) -> dict[str, Any]:
        """One purchase, killed as the spec says, taken up by the next life, judged."""
        keys = {"quote_key": uuid.uuid4().hex, "order_key": uuid.uuid4().hex}
        ledger: dict[str, Any] = keys | {"orders": []}
        self.life.arm(spec)
        killed = False
        try:
            self._finish(ledger)
        except NoAnswer:
            killed = True
            self._restart()
            self._finish(ledger)
        problems = list(_problems(ledger, self._charges(ledger), self.data))
        status = ledger["last"]["status"]
        return {"try": name, "killed": killed, "status": status, "problems": problems}

    def _finish(self, ledger: dict[str, Any]) -> None:
        buy(self.client, ledger)
        ledger["last"] = wait_for_end(self.client, ledger["orders"][-1])
        _quiet(self.client)

    def _restart(self) -> None:
        self.life.end()
        self.life = Life(self.settings)
        self.client.port = self.life.port

    def _charges(self, ledger: dict[str, Any]) -> list[Any]:
        wanted = set(ledger["orders"])
        return [c for c in self.book.charges() if c.metadata.get("order_id") in wanted]

    def close(self) -> None:
        """Ends the product and the payment sandbox."""
        self.life.end()
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
    if any(c.amount_minor != ledger["amount"] for c in paid):
        yield f"charged {[c.amount_minor for c in paid]} instead of {ledger['amount']}"
    yield from _log_problems(data, order)


def _log_problems(data: Path, order: dict[str, Any]) -> Iterator[str]:
    log = SqliteLog(data / "log.db")
    events = log.read_all(0, 1_000_000)
    log.close()
    if [e.position for e in events] != list(range(1, len(events) + 1)):
        yield "positions have a hole"
    about = f'"{order["id"]}"'.encode()
    mine = [e.type for e in events if about in e.payload]
    for kind in (
        "OrderPlaced",
        "OrderPaid",
        "ChargeRequested",
        "ChargeSucceeded",
        "OrderFulfilled",
    ):
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


def shares(places: list[str], shards: int) -> list[list[int]]:
    """Deals the fail-points (by their numbers, from 1) out to the shards, place by place: every
    shard gets a share of every place that is reached at least as often as there are shards."""
    by_place = sorted(range(1, len(places) + 1), key=lambda n: places[n - 1].split()[-1])
    return [sorted(by_place[shard::shards]) for shard in range(shards)]


def at_its_place(places: list[str], n: int) -> str:
    """The n-th fail-point by how often its place has been reached by then: batches differ a little
    from run to run, and the last one of all may lie behind the end, but not the last of its place
    where a place is reached once per request."""
    names = [place.split()[-1] for place in places]
    return f"{names[:n].count(names[n - 1])}@{names[n - 1]}"


def main(folder: Path, shard: int, shards: int, say: Callable[[Any], None]) -> None:
    """Plans the fail-points by a recorded purchase, then dies at each of this shard's."""
    harness = Harness(folder)
    try:
        harness.attempt("warm", "off")
        record = folder / "reached.txt"
        say(harness.attempt("record", f"record:{record}"))
        places = record.read_text().splitlines()
        mine = shares(places, shards)[shard]
        reached = 0
        for n in mine:
            for _ in range(_TRIES):
                one = harness.attempt(f"kill {places[n - 1]}", f"kill:{at_its_place(places, n)}")
                say(one)
                if one["killed"]:
                    reached += 1
                    break
        say({"planned": len(mine), "reached": reached, "places": len(places)})
    finally:
        harness.close()


if __name__ == "__main__":
    with made_once():
        main(
            Path(sys.argv[1]),
            int(sys.argv[2]),
            int(sys.argv[3]),
            lambda d: print(json.dumps(d), flush=True),
        )

"""Buyers in a process of their own: ``python -m bench.buyers`` reads a ``Plan`` and buys."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from bench.product import Api
from bench.report import check

_ROOT = Path(__file__).parents[1]
_COUNTRIES = ("AU", "CA", "DE", "FR", "GB", "US")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Who buys, for how long, and how many a second; rate 0: one after the other."""

    base_url: str
    keys: tuple[str, ...]
    seconds: float
    rate: float = 0.0


@dataclass
class Bought:
    """What came of it. An order is id, numbers, total and the seconds it took."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Purchases a second."""
        return len(self.orders) / self.seconds

    def latencies(self) -> list[float]:
        """Seconds of each purchase."""
        return [order["seconds"] for order in self.orders]

    def verify(self) -> None:
        """Every purchase ended fulfilled and no number was sold twice."""
        check(self.orders, "nothing was bought")
        check(not self.refused, f"{len(self.refused)} purchases failed: {self.refused[:1]}")
        numbers = [number for order in self.orders for number in order["numbers"]]
        check(len(set(numbers)) == len(numbers), "a number was sold twice")


class _Ticket:
    """When the next purchase begins, so many a second over all buyers."""

    def __init__(self, plan: Plan) -> None:
        self._rate = plan.rate
        self.began = time.monotonic()
        self._end = self.began + plan.seconds
        self._numbers, self._lock = count(), threading.Lock()

    def wait(self) -> bool:
        """Sleeps until the next one; ``False`` when it is over."""
        if self._rate:
            with self._lock:
                due = self.began + next(self._numbers) / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
        return time.monotonic() < self._end


def buy(plan: Plan) -> Bought:
    """Buys in this process, one thread per key."""
    offers = _offers(plan)
    found, ticket = Bought(), _Ticket(plan)
    with ThreadPoolExecutor(len(plan.keys)) as pool:
        for _ in pool.map(lambda key: _buy_as(plan, key, offers, ticket, found), plan.keys):
            pass
    found.seconds = time.monotonic() - ticket.began
    return found


def _offers(plan: Plan) -> list[str]:
    client = Api(plan.base_url, plan.keys[0])
    pages = [client.ask("GET", f"/v1/available-numbers?country={c}&limit=100") for c in _COUNTRIES]
    client.close()
    rows = [row for _, page in pages for row in page["data"]]
    return [row["offer_id"] for row in rows if row["available"] > 20]


def _buy_as(plan: Plan, key: str, offers: list[str], ticket: _Ticket, found: Bought) -> None:
    client, chance = Api(plan.base_url, key), random.Random(key)
    while ticket.wait():
        began = time.monotonic()
        item = {"offer_id": chance.choice(offers), "quantity": 1}
        status, order = client.ask("POST", "/v1/orders?wait=20", {"items": [item]})
        if status == 201 and order["status"] == "fulfilled":
            found.orders.append(_order(order, time.monotonic() - began))
        else:
            found.refused.append(order)
    client.close()


def _order(order: dict[str, Any], seconds: float) -> dict[str, Any]:
    numbers = [number["number"] for number in order["numbers"]]
    total = order["total"]["amount"]
    return {"id": order["id"], "numbers": numbers, "total": total, "seconds": seconds}


class Buying:
    """Buyers that run beside something else."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.buyers"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._plan = json.dumps(asdict(plan)).encode()
        self._thread = threading.Thread(target=self._talk)
        self._answer = b""
        self._thread.start()

    def _talk(self) -> None:
        self._answer = self._process.communicate(self._plan)[0]

    @property
    def running(self) -> bool:
        """Whether they still buy."""
        return self._thread.is_alive()

    def result(self) -> Bought:
        """Waits until their time is over."""
        self._thread.join()
        check(self._process.returncode == 0, "the buyers failed")
        return Bought(**json.loads(self._answer))

    def stop(self) -> None:
        """Ends them now."""
        if self._process.poll() is None:
            self._process.terminate()
        self._thread.join()


@contextmanager
def buying(plan: Plan) -> Iterator[Buying]:
    """Buyers that are gone afterwards."""
    buyers = Buying(plan)
    try:
        yield buyers
    finally:
        buyers.stop()


def main() -> None:
    """Reads the plan from stdin, writes what was bought to stdout."""
    plan = json.load(sys.stdin)
    bought = buy(Plan(**plan | {"keys": tuple(plan["keys"])}))
    json.dump(asdict(bought), sys.stdout)


if __name__ == "__main__":
    main()

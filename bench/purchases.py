"""Purchases over HTTP against the payment sandbox, beside bare charges of the same sandbox."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.buyers import Bought, Plan, buying
from bench.machine import median, quantile
from bench.product import running
from bench.report import Figure, check
from bench.run import Run
from deploy.payment_sandbox.book import Book, BookedCharge
from deploy.payment_sandbox.process import start_sandbox

_CLIENTS = 16


def measure(run: Run) -> list[Figure]:
    """One alone, then 16 clients; every order and every charge looked at."""
    folder = run.folder("usual")
    with running(folder) as product:
        keys = tuple(product.open_accounts(_CLIENTS))
        alone = _bought(Plan(base_url=product.base_url, keys=keys[:1], seconds=run.seconds(8)))
        before = _log_bytes(folder)
        many = _bought(Plan(base_url=product.base_url, keys=keys, seconds=run.seconds(30)))
        size = (_log_bytes(folder) - before) / len(many.orders)
        peak = sum(product.peaks_mb())
    _verify(folder, [*alone.orders, *many.orders])
    bare = _bare_charges(run.work / "used" / "charges", run.seconds(10))
    return [*_figures(alone, many, bare), _size(size), _memory(peak)]


def _bought(plan: Plan) -> Bought:
    with buying(plan) as buyers:
        found = buyers.result()
    found.verify()
    return found


def _log_bytes(folder: Path) -> int:
    # Whole pages with those still in the WAL: what the file grows to.
    with closing(sqlite3.connect(folder / "log.db")) as log:
        pages, size = (
            log.execute(f"PRAGMA {n}").fetchone()[0] for n in ("page_count", "page_size")
        )
    return int(pages) * int(size)


def _verify(folder: Path, orders: list[dict[str, Any]]) -> None:
    """The sandbox's own book: one successful charge for each order, of its total."""
    booked = [c for c in Book(folder / "payment_sandbox").charges() if c.status == "succeeded"]
    times = Counter(_order_of(charge) for charge in booked)
    amounts = {_order_of(charge): charge.amount_minor for charge in booked}
    for order in orders:
        check(times[order["id"]] == 1, f"{order['id']} was charged {times[order['id']]} times")
        cents = Decimal(order["total"]) * 100
        check(abs(amounts[order["id"]] - cents) <= Decimal("0.5"), f"{order['id']}: wrong amount")
    check(sum(times.values()) == len(orders), "the sandbox has charges nobody asked for")


def _order_of(charge: BookedCharge) -> str:
    return charge.metadata.get("order_id", "")


def _figures(alone: Bought, many: Bought, bare: float) -> list[Figure]:
    one, all_ = alone.latencies(), many.latencies()
    return [
        Figure(
            what=f"purchases by {_CLIENTS} clients",
            value=many.per_second,
            unit="/s",
            at_least=60,
            peer=bare,
            peer_is="bare charges",
            note=f"{len(many.orders)} orders, p50 {median(all_):.3f} s, p95 "
            f"{quantile(all_, 0.95):.3f} s",
        ),
        Figure(
            what="one purchase alone, median",
            value=1000 * median(one),
            unit="ms",
            note=f"p95 {1000 * quantile(one, 0.95):.0f} ms, {len(one)} purchases",
        ),
    ]


def _size(size: float) -> Figure:
    note = "growth of log.db with its indexes"
    what = "log per purchase of one number"
    return Figure(what=what, value=size / 1000, unit="kB", at_most=15, note=note)


def _memory(peak: float) -> Figure:
    what = "peak memory of product and payment sandbox, after the purchases"
    return Figure(what=what, value=peak, unit="MB", at_most=350)


def _bare_charges(folder: Path, seconds: float) -> float:
    """Charges a second by the stripe library with as many threads and nothing of ours."""
    key = f"sk_test_{secrets.token_hex(16)}"
    folder.mkdir(parents=True)
    sandbox = start_sandbox(folder, secret_key=key, publishable_key="pk_test_bench")
    try:
        done, spent = _charge(sandbox.base_url, key, seconds)
    finally:
        sandbox.stop()
    booked = [charge for charge in Book(folder).charges() if charge.status == "succeeded"]
    check(len(booked) == done, f"{done} bare charges, {len(booked)} booked")
    return done / spent


def _charge(base_url: str, key: str, seconds: float) -> tuple[int, float]:
    import stripe  # noqa: PLC0415  # Half a second, for this measurement alone.

    client = stripe.StripeClient(
        key, base_addresses={"api": base_url}, http_client=stripe.RequestsClient(timeout=30)
    )
    params: Any = {
        "amount": 126,
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "payment_method_types": ["card"],
        "confirm": True,
    }

    def work(_n: int) -> int:
        done = 0
        while time.monotonic() < end:
            made = client.v1.payment_intents.create(params=params)
            check(made.status == "succeeded", f"a bare charge is {made.status}")
            done += 1
        return done

    began = time.monotonic()
    end = began + seconds
    with ThreadPoolExecutor(_CLIENTS) as pool:
        done = sum(pool.map(work, range(_CLIENTS)))
    return done, time.monotonic() - began

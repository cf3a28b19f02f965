"""The distributed system with every process on this machine: purchases, calls, what they cost."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from bench.buyers import Bought, Plan, buying
from bench.calls import calls
from bench.machine import median, quantile
from bench.many_processes import ManyProcesses, Used, many_processes
from bench.report import Figure, check
from bench.run import Run
from deploy.payment_sandbox.book import Book
from shared.eventlog.postgres import PostgresLog

_CLIENTS = 16
_QUICK_SECONDS, _MANY_SECONDS = 10.0, 400.0  # At 25 a second more than 10,000 are bought.
_SERVERS = {"postgresql", "rabbitmq", "rabbitmq-names"}


def measure(run: Run) -> list[Figure]:
    """One buyer alone, then 16; then calls while nobody and while twenty a second buy."""
    with many_processes(run) as product:
        keys = tuple(product.open_accounts(_CLIENTS))
        _bought(Plan(base_url=product.base_url, keys=keys, seconds=run.seconds(8)))  # Warm.
        alone = _bought(Plan(base_url=product.base_url, keys=keys[:1], seconds=run.seconds(12)))
        before = product.used()
        seconds = _QUICK_SECONDS if run.quick else _MANY_SECONDS
        many = _bought(Plan(base_url=product.base_url, keys=keys, seconds=seconds))
        product.settled()
        after = product.used()
        called = calls(product, run, keys)
        memory = product.memory()
        product.settled()
        _verify(product, [alone, many])
    return [
        *_purchases(alone, many),
        *called,
        *_spent(before, after, len(many.orders)),
        *_memory(memory),
    ]


def _bought(plan: Plan) -> Bought:
    with buying(plan) as buyers:
        found = buyers.result()
    found.verify()
    return found


def _verify(product: ManyProcesses, rounds: list[Bought]) -> None:
    """The payment provider's own book says one charge per order, of its total; the log says that
    each order was fulfilled once, and has no hole."""
    orders = [order for bought in rounds for order in bought.orders]
    booked = [
        c for c in Book(product.data / "payment_sandbox").charges() if c.status == "succeeded"
    ]
    times = Counter(charge.metadata.get("order_id", "") for charge in booked)
    cents = {charge.metadata.get("order_id", ""): charge.amount_minor for charge in booked}
    fulfilled = _fulfilled(product)
    for order in orders:
        check(times[order["id"]] == 1, f"{order['id']} was charged {times[order['id']]} times")
        off = abs(cents[order["id"]] - Decimal(order["total"]) * 100)
        check(off <= Decimal("0.5"), f"{order['id']}: wrong amount")
        check(fulfilled[f"order-{order['id']}"] == 1, f"{order['id']} was not fulfilled once")


def _fulfilled(product: ManyProcesses) -> Counter[str]:
    log, last, found = PostgresLog(product.servers.database()), 0, Counter[str]()
    while page := log.read_all(last, 4096):
        check(page[-1].position == last + len(page), "the log has a hole")
        found.update(event.stream for event in page if event.type == "OrderFulfilled")
        last = page[-1].position
    log.close()
    return found


def _purchases(alone: Bought, many: Bought) -> list[Figure]:
    return [
        Figure(
            what=f"distributed: purchases by {_CLIENTS} clients",
            value=many.per_second,
            unit="/s",
            at_least=25,
            note=f"{len(many.orders)} orders, {_latencies(many)}",
        ),
        Figure(
            what="distributed: one purchase alone, median",
            value=1000 * median(alone.latencies()),
            unit="ms",
            at_most=250,
            note=f"{len(alone.orders)} orders, {_latencies(alone)}",
        ),
    ]


def _latencies(bought: Bought) -> str:
    found = bought.latencies()
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return ", ".join(f"{name} {1000 * quantile(found, s):.0f} ms" for name, s in shares.items())


def _spent(before: Used, after: Used, orders: int) -> list[Figure]:
    cpu = {name: (after.cpu[name] - was) / orders for name, was in before.cpu.items()}
    written = after.rows_written - before.rows_written
    most = sorted(cpu, key=lambda name: -cpu[name])
    return [
        Figure(
            what="distributed: rows read from the log over rows written",
            value=(after.rows_read - before.rows_read) / written,
            unit="",
            at_most=8,
            note=f"after {orders:,} purchases; {written / orders:.1f} events per purchase",
        ),
        Figure(
            what="distributed: CPU per purchase",
            value=1000 * sum(cpu.values()),
            unit="ms",
            note=", ".join(f"{name} {1000 * cpu[name]:.1f}" for name in most),
        ),
    ]


def _memory(memory: dict[str, float]) -> list[Figure]:
    ours = {name: mb for name, mb in memory.items() if name not in _SERVERS}
    note = ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(memory.items()))
    what = "distributed: memory of our processes (PSS)"
    return [Figure(what=what, value=sum(ours.values()), unit="MB", note=note)]

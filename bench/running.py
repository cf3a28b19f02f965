"""The running product: start, memory, and what a filled data folder takes on disk."""

from __future__ import annotations

from pathlib import Path

from bench.buyers import Plan, buying
from bench.machine import folder_mb
from bench.product import Product, running
from bench.report import Figure, check
from bench.run import Run

_COUNTRIES = ("AU", "CA", "DE", "FR", "GB", "US")


def measure(run: Run) -> list[Figure]:
    """A first and a second start, empty and filled; memory with 16 buyers and some looking on."""
    empty, filled = run.work / "used" / "empty", run.folder("usual")
    with running(empty) as product:
        first = product.start_seconds
        fresh = sum(product.peaks_mb())
    with running(empty) as product:
        second = product.start_seconds
        _look(product)
    with running(filled) as product:
        _use(product, run.seconds(15))
        peaks = product.peaks_mb()
    with running(filled) as product:
        again = product.start_seconds
        _look(product)
    return [
        _start("first start, with loading the stock", first, None),
        _start("second start", second, 5),
        _start("second start on the filled folder", again, 5),
        _memory("peak memory after the first start", fresh, "product and payment sandbox"),
        _memory(
            "peak memory on the filled folder with 16 buyers",
            sum(peaks),
            f"product {peaks[0]:.0f} MB, payment sandbox {peaks[1]:.0f} MB",
        ),
        *_sizes(filled),
    ]


def _start(what: str, seconds: float, aim: float | None) -> Figure:
    return Figure(what=what, value=seconds, unit="s", at_most=aim)


def _memory(what: str, value: float, note: str) -> Figure:
    return Figure(what=what, value=value, unit="MB", at_most=350, note=note)


def _sizes(folder: Path) -> list[Figure]:
    return [
        Figure(what="filled data folder", value=folder_mb(folder), unit="MB"),
        *(
            Figure(what=f"of it {name}", value=(folder / name).stat().st_size / 1e6, unit="MB")
            for name in ("log.db", "views.db", "state.db")
        ),
    ]


def _use(product: Product, seconds: float) -> None:
    keys = tuple(product.open_accounts(16))
    with buying(Plan(base_url=product.base_url, keys=keys, seconds=seconds)) as buyers:
        while buyers.running:
            _look(product)
        buyers.result().verify()


def _look(product: Product) -> None:
    client = product.customer()
    for country in _COUNTRIES:
        path = f"/v1/available-numbers?country={country}&contains=12&limit=100"
        for asked in (path.replace("&contains=12", ""), path.replace("=12", "=123")):
            status, page = client.ask("GET", asked)
            check(status == 200 and page["data"], f"nothing found in {country}")
    client.close()

"""Searching 114,000 and 2 million numbers while others buy, beside bare SQL on the same rows."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from bench.buyers import Plan, buying
from bench.filling import settings_of
from bench.machine import median, quantile
from bench.product import Api, running
from bench.questions import CONTAINS, mixed, questions
from bench.report import Figure, check
from bench.run import Run
from bench.truth import Question, Truth, agree
from deploy.embedded import Embedded
from services.inventory.projections import fold_city
from shared.eventlog.sqlite import SqliteLog
from shared.rpc import OWNER, CallContext

_BUYERS = 12
_RATE, _WANTED = 52.0, 50.0  # A purchase is begun a little oftener than wanted: some begin late.
_QUESTIONS = 20.0  # A second. Who asks without a pause measures how much of a processor is left.
_CHECKED = 2  # Of each kind, page by page.
T = TypeVar("T")
Ask = Callable[[Question], dict[str, Any]]


@dataclass
class Times:
    """Milliseconds by kind of question, ours and the peer's, and what was bought meanwhile."""

    ours: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bare: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bought: float = 0.0

    def all(self) -> list[float]:
        """Of the whole mix."""
        return [value for some in self.ours.values() for value in some]


def measure(run: Run) -> list[Figure]:
    """The same eight kinds over RPC and over HTTP, in both sizes."""
    figures: list[Figure] = []
    medians: dict[tuple[str, str], float] = {}
    for size in ("usual", "wide"):
        times, numbers = _measure(run, size)
        for how, found in times.items():
            medians[how, size] = median(found.all())
            figures += _figures(f"{how}, {numbers:,} numbers", found)
    growth = {how: medians[how, "wide"] / medians[how, "usual"] for how in ("RPC", "HTTP")}
    return [*figures, *(_growth(how, value) for how, value in growth.items())]


def _measure(run: Run, size: str) -> tuple[dict[str, Times], int]:
    folder = run.folder(size)
    with closing(SqliteLog(folder / "log.db")) as log:
        truth = Truth()
        truth.learn(log)
        asked = questions(truth.blocks)
        over_http = _over_http(run, folder, asked, truth, log)
        over_rpc = _over_rpc(run, folder, asked, truth, log)
    numbers = sum(block["count"] for block in truth.blocks)
    return {"RPC": over_rpc, "HTTP": over_http}, numbers


def _over_http(
    run: Run, folder: Path, asked: dict[str, list[Question]], truth: Truth, log: SqliteLog
) -> Times:
    with running(folder) as product:
        keys = tuple(product.open_accounts(_BUYERS))
        (folder / "keys").write_text("\n".join(keys))
        client = Api(product.base_url, keys[0])

        def ask(question: Question) -> dict[str, Any]:
            words = {n: str(v).lower() if v in {True, False} else v for n, v in question.items()}
            status, page = client.ask("GET", f"/v1/available-numbers?{urlencode(words)}")
            check(status == 200, f"{question}: {page}")
            return dict(page)

        plan = Plan(base_url=product.base_url, keys=keys, seconds=run.seconds(20), rate=_RATE)
        return _ask_all(folder, ask, asked, truth, log, plan)


def _over_rpc(
    run: Run, folder: Path, asked: dict[str, list[Question]], truth: Truth, log: SqliteLog
) -> Times:
    with _embedded(folder) as product:
        client = product.assembly.client

        def ask(question: Question) -> dict[str, Any]:
            words = {"after" if n == "cursor" else n: v for n, v in question.items()}
            context = CallContext(
                account_id="acct_bench", actor="key:bench", roles=(OWNER,), correlation_id="bench"
            )
            return dict(client.call("inventory", "search_available", context, **words))

        keys = tuple((folder / "keys").read_text().split())
        url = product.settings.base_url
        plan = Plan(base_url=url, keys=keys, seconds=run.seconds(20), rate=_RATE)
        return _ask_all(folder, ask, asked, truth, log, plan)


@contextmanager
def _embedded(folder: Path) -> Iterator[Any]:
    product = Embedded(settings_of(folder), demo=False)
    product.start()
    try:
        yield product
    finally:
        product.stop()


def _ask_all(
    folder: Path,
    ask: Ask,
    asked: dict[str, list[Question]],
    truth: Truth,
    log: SqliteLog,
    plan: Plan,
) -> Times:
    times = Times()
    _verify(ask, asked, truth, log)
    with buying(plan) as buyers, closing(sqlite3.connect(folder / "views.db")) as views:
        time.sleep(1)  # Until the buyers have begun.
        for kind, question in _paced(mixed(asked), _QUESTIONS):
            if not buyers.running:
                break
            _ask_one(ask, views, times, kind, question)
        bought = buyers.result()
    bought.verify()
    times.bought = bought.per_second
    _verify(ask, asked, truth, log)
    return times


def _paced(asked: Iterable[T], rate: float) -> Iterator[T]:
    """So many a second; who is late asks at once, and nothing is left out."""
    began = time.monotonic()
    for n, one in enumerate(asked):
        time.sleep(max(0.0, began + n / rate - time.monotonic()))
        yield one


def _ask_one(
    ask: Ask, views: sqlite3.Connection, times: Times, kind: str, question: Question
) -> None:
    began = time.perf_counter()
    page = ask(question)
    times.ours[kind].append(1000 * (time.perf_counter() - began))
    check("data" in page, f"{question} was not answered")
    if kind not in CONTAINS:
        began = time.perf_counter()
        views.execute(*_bare(question)).fetchall()
        times.bare[kind].append(1000 * (time.perf_counter() - began))


def _bare(question: Question) -> tuple[str, list[Any]]:
    words = {("city_fold" if n == "city" else n): v for n, v in question.items()}
    if "city" in question:
        words["city_fold"] = fold_city(question["city"])
    where = " AND ".join(f"{name} = ?" for name in words)
    order = "ORDER BY city_fold, prefix, offer_id LIMIT 21"
    return f"SELECT * FROM offer WHERE available > 0 AND {where} {order}", list(words.values())


def _verify(ask: Ask, asked: dict[str, list[Question]], truth: Truth, log: SqliteLog) -> None:
    """Some of each kind, all their pages, against a count of every single number."""
    for some in asked.values():
        for question in some[:_CHECKED]:
            agree(partial(_all_pages, ask, question), question, truth, log)


def _all_pages(ask: Ask, question: Question) -> dict[str, int]:
    found: dict[str, int] = {}
    cursor: dict[str, str] = {}
    while True:
        page = ask(question | {"limit": 100} | cursor)
        found |= {row["offer_id"]: row["available"] for row in page["data"]}
        after = page.get("next_cursor") or page.get("next")
        if after is None:
            return found
        cursor = {"cursor": after}


def _figures(where: str, times: Times) -> Iterator[Figure]:
    plain = [value for kind, some in times.ours.items() for value in some if kind not in CONTAINS]
    bare = [value for some in times.bare.values() for value in some]
    mix = times.all()
    yield Figure(
        what=f"search over {where}, median of the mix",
        value=median(mix),
        unit="ms",
        at_most=15,
        note=f"p95 {quantile(mix, 0.95):.1f} ms; {len(mix):,} questions, "
        f"at most {_QUESTIONS:.0f} a second",
    )
    yield Figure(what="  purchases beside it", value=times.bought, unit="/s", at_least=_WANTED)
    yield Figure(
        what="  without contains, median",
        value=median(plain),
        unit="ms",
        at_most=15,
        peer=median(bare),
        peer_is="bare SQL",
        note="; ".join(_noted(kind, some) for kind, some in times.ours.items()),
    )
    for kind in CONTAINS:
        some = times.ours[kind]
        note = f"p95 {quantile(some, 0.95):.1f} ms"
        yield Figure(what=f"  {kind}, median", value=median(some), unit="ms", at_most=60, note=note)


def _noted(kind: str, some: list[float]) -> str:
    return f"{kind} {median(some):.1f}/{quantile(some, 0.95):.1f}"


def _growth(how: str, value: float) -> Figure:
    what = f"search over {how}: the mix in 2 million against the project's stock"
    return Figure(what=what, value=value, unit="times", at_most=1.5)

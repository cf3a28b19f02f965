"""The pages: an account with 10,000 numbers, the search, what a first visit weighs and shows."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, sync_playwright

from bench.commands import Buyer
from bench.filling import Filler
from bench.folders import SHARE
from bench.machine import median, quantile
from bench.product import ROOT, Product, running
from bench.report import Figure, check
from bench.run import Run
from bench.stock import file_blocks
from bench.visitor import PASSWORD, Visitor, new_person

_NUMBERS = 10_000
_ROUNDS = 25
_OPEN_PAGES = 30
_QUESTIONS = 1_500  # Some seconds, so that every open page asks meanwhile.
_CHROMIUM = ("scripts/chromium.sh", "where")
_LISTS = (
    "/numbers",
    "/numbers?status=active&type=geographic",
    "/numbers?q=%2B1+2",
    "/numbers?label=vip",
    "/numbers?sort=-monthly_cost",
    "/numbers?q=office",
)
_SEARCHES = (
    "/search?country=US",
    "/search?country=US&region=NY",
    "/search?country=US&city=New+York",
    "/search?country=US&area_code=212",
    "/search?country=GB&type=geographic",
    "/search?country=US&digits=123",
)
_ROW = re.compile(r'<th role="rowheader"')
_CHANGES = re.compile(r'data-live="([^"]+)"')
_FREE_NUMBER_SECONDS = 30.0
_EVERY_SECONDS = 3.0  # As js/live.js asks.
_FIRST_PAINT = """performance.getEntriesByName('first-contentful-paint')[0].startTime"""


def measure(run: Run) -> list[Figure]:
    """Server time of lists and searches, weight, first paint, and the API with listeners beside."""
    folder = run.folder("usual")
    with running(folder) as product:
        account_id, email = new_person(product)
        _await_free_number(product)
    _fill(folder, account_id, _NUMBERS // 10 if run.quick else _NUMBERS)
    with running(folder) as product:
        visitor = Visitor(product.base_url).sign_in(email)
        numbers = visitor.get("/numbers.csv").count("\n") - 1
        figures = [
            *_times(f"list of an account with {numbers:,} numbers", visitor, _LISTS, 150),
            *_times("search dialog", visitor, _SEARCHES, 60),
            *_weight(visitor),
            *_paint(product.base_url, email),
            *_listeners(product, email),
        ]
        visitor.close()
    return figures


def _await_free_number(product: Product) -> None:
    # The list that is asked for later is the demo account's. It must not be given its number while
    # the filling, which knows of no other process, takes some.
    api, end = product.customer(), time.monotonic() + _FREE_NUMBER_SECONDS
    while not api.ask("GET", "/v1/numbers")[1]["data"]:
        check(time.monotonic() < end, "the demo account has no free number")
        time.sleep(0.05)
    api.close()


def _fill(folder: Path, account_id: str, count: int) -> None:
    filler, stock = Filler(folder, "pages"), file_blocks()
    filler.buyers.append(Buyer(account_id, "pm_bench"))
    # The usual folder has 30 % taken; these come on top of it. A purchase is 1.57 numbers.
    filler.buy(round(count / 1.57), stock, 2 * SHARE)
    filler.build_views()
    filler.close()


def _times(what: str, visitor: Visitor, paths: Sequence[str], aim: float) -> list[Figure]:
    for path in paths:
        check(_ROW.search(visitor.get(path)), f"{path} shows no row")
    times = [visitor.timed(path)[0] for _ in range(_ROUNDS) for path in paths]
    note = f"{len(times)} pages, {len(paths)} addresses; the slowest {max(times):.0f} ms"
    return [
        Figure(what=f"{what}, median", value=median(times), unit="ms", note=note),
        Figure(what=f"{what}, p95", value=quantile(times, 0.95), unit="ms", at_most=aim),
    ]


def _weight(visitor: Visitor) -> list[Figure]:
    plain, packed = visitor.weight("/numbers")
    note = f"page, styles and scripts; {plain / 1000:.0f} kB as they are"
    value = packed / 1000
    return [Figure(what="first visit, gzipped", value=value, unit="kB", at_most=250, note=note)]


def _paint(base_url: str, email: str) -> list[Figure]:
    """First contentful paint in Chromium with an empty cache, of list and search."""
    with sync_playwright() as playwright:
        program = subprocess.run(_CHROMIUM, capture_output=True, text=True, check=True, cwd=ROOT)
        path = program.stdout.strip()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        paths = ("/numbers", _SEARCHES[0])
        seconds = {path: _painted(browser, base_url, email, path) for path in paths}
        browser.close()
    return [
        Figure(what=f"first contentful paint of {path}", value=value, unit="s", at_most=1)
        for path, value in seconds.items()
    ]


def _painted(browser: Browser, base_url: str, email: str, path: str) -> float:
    found = []
    for _ in range(5):
        context = browser.new_context(base_url=base_url)
        page = context.new_page()
        page.goto(f"/login?{urlencode({'next': path})}")
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector("tbody tr")
        page.context.new_cdp_session(page).send("Network.clearBrowserCache")
        page.goto(path)
        page.wait_for_selector("tbody tr")
        found.append(page.evaluate(_FIRST_PAINT))
        context.close()
    return median(found) / 1000


def _listeners(product: Product, email: str) -> list[Figure]:
    """The API alone, and beside open pages that ask for changes as their script does."""
    alone, beside = _asked(product), []
    stop = threading.Event()
    pages = [Visitor(product.base_url).sign_in(email) for _ in range(_OPEN_PAGES)]
    threads = [threading.Thread(target=_listen, args=(page, stop)) for page in pages]
    for thread in threads:
        thread.start()
    beside = _asked(product)
    stop.set()
    for thread in threads:
        thread.join()
    what = f"API with {_OPEN_PAGES} open pages"
    note = "the same list of numbers, one request after the other"
    return [
        Figure(
            what=f"{what}, {name}",
            value=measured(beside),
            unit="ms",
            peer=measured(alone),
            peer_is="without them",
            note=note,
        )
        for name, measured in (("median", median), ("p95", lambda found: quantile(found, 0.95)))
    ]


def _listen(page: Visitor, stop: threading.Event) -> None:
    found = _CHANGES.search(page.get("/numbers"))
    check(found, "the list does not listen")
    while found and not stop.wait(_EVERY_SECONDS):
        page.get(found[1].replace("&amp;", "&"), 204)
    page.close()


def _asked(product: Product) -> list[float]:
    api, times = product.customer(), []
    for _ in range(_QUESTIONS):
        began = time.perf_counter()
        status, found = api.ask("GET", "/v1/numbers?limit=20")
        check(status == 200 and found["data"], f"no list: {status}")
        times.append((time.perf_counter() - began) * 1000)
    api.close()
    return times

"""Chromium, and people who use the product with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.contract.payment_servers import wait_until
from tests.e2e.browser.people import STOCK_HEAD, Person, invite, of_demo
from tests.support.product import Product

_PATIENCE_MS = 20_000
_CHEAP = "US,NY,Utica,315,geographic,+13157920100,90,true,0.00,0.30,1,0.0085,0.00,USD,60/1\n"


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests of a worker."""
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def person(product: Product) -> Person:
    """Somebody of a new account without a card."""
    return invite(product)


@pytest.fixture
def demo(product: Product) -> Person:
    """The person of the demo account."""
    return of_demo(product)


@pytest.fixture
def debtor(product: Product, person: Person) -> Person:
    """Somebody who owes $0.60, in two orders, and has a card that pays."""
    person.add_card()
    staff, headers = product.staff(), {"Content-Type": "text/csv"}
    stock = f"{STOCK_HEAD}\n{_CHEAP}"
    job = staff.ask("POST", "/v1/stock/imports", stock, key="utica", headers=headers)
    wait_until(lambda: staff.get(f"/v1/jobs/{job.body['id']}").body["status"] == "done")
    asked = "/v1/available-numbers?country=US&city=Utica"
    wait_until(lambda: bool(person.api.get(asked).body["data"]))  # Stock is there, its row soon.
    found = person.api.get(asked).body["data"]
    for _ in range(2):
        items = [{"offer_id": found[0]["offer_id"], "quantity": 1}]
        order = person.api.post("/v1/orders?wait=20", {"items": items})
        assert order.body["status"] == "fulfilled", order
    return person


@pytest.fixture
def staff(product: Product) -> Person:
    """The person of the back office that ``demo.json`` names."""
    demo = product.demo
    return Person(product, demo["staff_email"], demo["staff_password"], product.staff())


@pytest.fixture
def visit(browser: Browser, product: Product) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser of its own. At the end nothing may have been forbidden by the
    Content-Security-Policy, and no script may have failed."""
    contexts, complaints = [], []

    def opened(**options: Any) -> Page:
        settings = {"base_url": product.demo["base_url"], "reduced_motion": "reduce"}
        context = browser.new_context(**settings | options)
        contexts.append(context)
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        _listen(page, complaints)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _listen(page: Page, complaints: list[str]) -> None:
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))

    def heard(message: Any) -> None:
        # A network that fails is no fault of a script.
        broken = "htmx:error" in message.text and "Failed to fetch" not in message.text
        if "Content Security Policy" in message.text or broken:
            complaints.append(message.text)

    page.on("console", heard)

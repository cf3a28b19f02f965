"""Chromium, and people who use the product with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.browser.people import Person, invite, of_demo
from tests.support.product import Product

_PATIENCE_MS = 20_000


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

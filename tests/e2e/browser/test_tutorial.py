"""README and docs/tutorial.md are true: their steps are carried out as written, in Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.browser.walking import Walker, steps_of
from tests.support.product import ROOT, Product

pytestmark = pytest.mark.browser


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A product of its own: a newcomer has no card yet, and nobody else's clock goes forward."""
    running = Product(tmp_path / "var").start()
    yield running
    running.stop()


@pytest.fixture
def folder() -> Path | None:
    """Where the pictures go: nowhere, unless PBXIM_TEST_SCREENSHOTS names a folder."""
    named = os.environ.get("PBXIM_TEST_SCREENSHOTS")
    return Path(named) if named else None


@pytest.mark.parametrize(("page", "least"), [("README.md", 15), ("docs/tutorial.md", 75)])
def test_a_newcomer_who_does_what_is_written_buys_a_number(
    product: Product, visit: Callable[..., Page], folder: Path | None, page: str, least: int
) -> None:
    shown = visit(viewport={"width": 1280, "height": 800}, color_scheme="light")
    walker = Walker(shown, product.demo, folder)
    steps = list(steps_of((ROOT / page).read_text()))
    for step in steps:
        walker.walk(step)

    assert len(steps) >= least
    kinds = [one["origin"] for one in product.customer().get("/v1/numbers").body["data"]]
    assert sorted(kinds) == ["free", "purchased"]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("1. Press the **Checkout**.", "not one of the forms"),
        ("1. Press **Checkout**. Then wait.", "not one of the forms"),
        ("1. Press **Checkout**", "no whole sentence"),
        ("1. Press **Checkout**.\nYou see **Done**.", "not indented"),
        ("1. Press **Checkout**.\n3. Press **Close**.", "is step 2"),
    ],
)
def test_a_step_that_is_not_understood_is_an_error(written: str, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        list(steps_of(written))

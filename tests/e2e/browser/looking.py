"""Looks at a page as a picky person does: barriers, targets, width, in both schemes."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Frame, Page, expect

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Of what is in order axe need not say where it is, which takes half of its time. Frames belong to
# the payment provider: the sandbox's are looked at by themselves.
OPTIONS = {"runOnly": RULES, "resultTypes": ["violations"], "iframes": False, "preload": False}
CONTRAST = OPTIONS | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}

# WCAG 2.2, 2.5.8: targets of at least 24 by 24 pixels; links inside a sentence are excepted.
SMALL_TARGETS = """() => [...document.querySelectorAll('button, select, input, textarea, summary, a.button, nav a')]
    .filter((node) => node.checkVisibility() && node.type !== 'hidden' && !node.closest('label'))
    .map((node) => [node.textContent.trim() || node.name, node.getBoundingClientRect()])
    .filter(([, box]) => box.width < 24 || box.height < 24)
    .map(([name]) => name)"""  # noqa: E501  # One selector.

# Each width in both schemes. The narrow one last: it is the harder one to click one's way through.
SCREENS = [(width, scheme) for width in (1280, 360) for scheme in ("dark", "light")]
_WHOLE = (1280, "dark")


def barriers(page: Page | Frame, options: dict[str, object] | None = None) -> list[object]:
    """What axe finds against the rules of WCAG 2.2 AA, and where first."""
    if not page.evaluate("'axe' in window"):  # It is there until the page is loaded anew.
        page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, options)", options or OPTIONS)
    return [(one["id"], one["nodes"][0]["target"]) for one in found["violations"]]


def look(page: Page, name: str, row: str) -> None:
    """Nothing is in anybody's way on what is shown, once ``row`` is there: all rules of axe once,
    contrast in both schemes and widths; nothing to scroll sideways; no target too small."""
    expect(page.locator(row).first).to_be_visible()
    for width, scheme in SCREENS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # One of two words.
        _keep(page, f"{name}-{width}-{scheme}")
        where = f"{name}, {width} px, {scheme}"
        assert page.evaluate("document.documentElement.scrollWidth") == width, where
        small = page.evaluate(SMALL_TARGETS)
        assert small == [], f"{where}: {small}"
        found = barriers(page, OPTIONS if (width, scheme) == _WHOLE else CONTRAST)
        assert found == [], f"{where}: {found}"


def look_inside(page: Page, frame: str) -> None:
    """The same for a page of the payment sandbox in a frame."""
    found = page.locator(frame).element_handle().content_frame()
    assert found is not None
    assert barriers(found) == []


def _keep(page: Page, name: str) -> None:
    """A screenshot, where PBXIM_TEST_SCREENSHOTS names a folder."""
    folder = os.environ.get("PBXIM_TEST_SCREENSHOTS")
    if folder:
        # Hiding the caret would leave an empty style on fields, which htmx hands on and the
        # Content-Security-Policy complains of.
        path = Path(folder) / f"{name}.png"
        page.screenshot(path=path, full_page=True, caret="initial")

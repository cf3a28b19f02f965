"""The documentation hangs together: no link leads nowhere, and every page can be reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = sorted([*TOP, *DOCS.rglob("*.md")])
_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_KINDS = ("Tutorial", "How-to", "Reference", "Explanation", "Decisions")


def links(page: Path) -> list[str]:
    """The relative links of a page, pictures among them."""
    found = _LINK.findall(_CODE.sub("", page.read_text()))
    return [one for one in found if not re.match(r"[a-z]+:", one)]


def target(page: Path, link: str) -> Path:
    """The file that a link of a page names; the page itself for one within it."""
    name = link.partition("#")[0]
    return (page.parent / name).resolve() if name else page


def anchors(page: Path) -> set[str]:
    """What its headings are called in addresses, as GitHub makes it of their words."""
    words = _HEADING.findall(
        re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    )
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_of_a_page_leads_nowhere(page: Path) -> None:
    dead = [one for one in links(page) if not target(page, one).is_file()]
    assert dead == [], "not the name of a file"

    parts = [(one, target(page, one), one.partition("#")[2]) for one in links(page)]
    assert [link for link, where, part in parts if part and part not in anchors(where)] == []


def reached(start: Path) -> set[Path]:
    """The files that somebody comes to who follows links from a page."""
    found, todo = {start}, [start]
    while todo:
        page = todo.pop()
        new = {target(page, one) for one in links(page)} - found if page.suffix == ".md" else set()
        found |= new
        todo += new
    return found


def test_every_page_and_picture_is_reached_from_the_readme() -> None:
    pictures = set((DOCS / "images").iterdir())
    assert pictures
    assert (set(PAGES) | pictures) - reached(ROOT / "README.md") == set()


def test_every_page_is_in_the_index_in_the_order_of_its_kinds() -> None:
    index = DOCS / "README.md"
    named = [target(index, one) for one in links(index)]
    assert set(DOCS.rglob("*.md")) - {index} == {one for one in named if DOCS in one.parents}
    headings = [one.partition(":")[0] for one in _HEADING.findall(index.read_text())[1:]]
    assert headings == list(_KINDS)
    kinds = [one.relative_to(DOCS).parts[0] for one in named if DOCS in one.parents]
    assert list(dict.fromkeys(kinds)) == [
        "tutorial.md",
        "how-to",
        "reference",
        "explanation",
        "adr",
    ]


def test_all_pictures_together_are_light() -> None:
    assert sum(one.stat().st_size for one in (DOCS / "images").iterdir()) < 2_000_000

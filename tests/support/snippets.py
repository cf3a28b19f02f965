"""The fenced blocks of a Markdown page that are for a shell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.product import ROOT

_BLOCK = re.compile(r"^( *)```(\S*)(?: +(\S+))? *\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


class Snippet(NamedTuple):
    """A block. The mark ``not-run`` says that it is not run: it starts the product, or needs what a
    test has not."""

    page: Path
    mark: str
    code: str

    @property
    def name(self) -> str:
        """Where it stands and how it begins."""
        return f"{self.page.stem}: {self.code[:24].strip()}"


def blocks(page: Path) -> list[tuple[str, str]]:
    """All blocks of a page: the language, which may be empty, and what is in it."""
    return [(language, code) for _, language, _, code in _BLOCK.findall(page.read_text())]


def snippets(page: Path) -> list[Snippet]:
    """All blocks of a page whose language is sh."""
    found = _BLOCK.findall(page.read_text())
    return [Snippet(page, mark, code) for _, language, mark, code in found if language == "sh"]


EVERY = [one for page in PAGES for one in snippets(page)]

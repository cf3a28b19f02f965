"""Carries out the numbered steps of a tutorial, so that they cannot drift from the product.

A step is a numbered item of a Markdown list. Each of its sentences has one of the forms below; a
sentence that has none of them is an error. Text between the items explains and is not carried out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Error, FrameLocator, Locator, Page, expect

_ITEM = re.compile(r"(\d+)\. +")
_PICTURE = re.compile(r"!\[[^\]]*\]\(images/([\w-]+\.png)\)")
_FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
# A full stop may stand inside the bold text that it ends with.
_SENTENCE = re.compile(r"(?:\*\*.+?\*\*|`.+?`|[^.:`*])+?(?:[.:]|(?<=\.\*\*))(?=\s|$)")
# What is on top: an open dialog, else the page. Looked up anew by each action.
_TOP = "dialog[open], body:not(:has(dialog[open]))"
_LAST_LINE = (
    "node => Math.max(...[...node.children].map(one => one.getBoundingClientRect().bottom))"
)
_BUSY = ".htmx-request, [aria-busy=true]"
_CARD_FIELDS = "#card-fields iframe"


@dataclass(frozen=True)
class Step:
    """One sentence to carry out, or a picture to take; ``text`` is what is to be pasted."""

    words: str
    text: str = ""
    picture: str = ""


def steps_of(markdown: str) -> Iterator[Step]:
    """The steps in their order, pictures between items included. Raises ``AssertionError`` where
    an item is lost: one that is not counted on, or goes on in a line that is not indented."""
    count, inside = 0, False
    for piece in re.split(r"\n(?=\S)", markdown):
        item = _ITEM.match(piece)
        assert item or not inside, f"not indented: {piece!r}"
        if item:
            count += 1
            assert int(item[1]) == count, f"{piece!r} is step {count}"
            yield from _sentences(piece[item.end() :])
        inside = bool(item) and not piece.endswith("\n")
        yield from (Step("", picture=name) for name in _PICTURE.findall(piece))


def _sentences(item: str) -> Iterator[Step]:
    fence = _FENCE.search(item)
    pasted = textwrap.dedent(fence[3]) if fence else ""
    words = " ".join(_PICTURE.sub("", _FENCE.sub("", item)).split())
    found = [match.group().strip() for match in _SENTENCE.finditer(words)]
    left = _SENTENCE.sub("", words).strip()
    assert not left, f"no whole sentence: {left!r} in {words!r}"
    for one in found:
        assert _form_of(one), f"not one of the forms of a step: {one!r}"
        yield Step(one, pasted if one.endswith(":") else "")


@dataclass
class Walker:
    """Somebody who does what is written. ``known`` is what ``demo.json`` says; pictures are taken
    only into a folder."""

    page: Page
    known: dict[str, str]
    folder: Path | None = None

    def walk(self, step: Step) -> None:
        """Carries a step out."""
        if step.picture:
            self._take(step.picture)
            return
        form = _form_of(step.words)
        assert form
        act, words = form
        try:
            act(self, *words, *([step.text] if step.text else []))
            expect(self.page.locator(_BUSY)).to_have_count(0)  # As one waits who looks at it.
        except (AssertionError, Error) as error:
            error.add_note(f"The step was: {step.words}")
            raise

    @property
    def _top(self) -> Locator:
        return self.page.locator(_TOP)

    def open(self, address: str) -> None:
        self.page.goto(address.replace("http://127.0.0.1:8000", self.known["base_url"]))

    def type_known(self, name: str, label: str) -> None:
        self.type(self.known[name], label)

    def type(self, value: str, label: str) -> None:
        """Into a field of the page, or of the payment provider's frame in it."""
        place: Locator | FrameLocator = self._top
        if label in {"Card number", "Expiry", "Security code"}:
            place = self.page.frame_locator(_CARD_FIELDS)
        place.get_by_label(label).fill(value)

    def paste(self, label: str, text: str) -> None:
        assert text, "nothing to paste"
        self.type(text, label)

    def choose(self, option: str, label: str) -> None:
        self._top.get_by_label(label, exact=True).select_option(label=option)

    def choose_in_first_row(self, option: str, label: str) -> None:
        """By the head of the column: what a field in a row is called names its row as well."""
        expect(self._top.get_by_role("columnheader", name=label, exact=True)).to_be_visible()
        self._first_cell(label).get_by_role("combobox").select_option(label=option)

    def press(self, name: str) -> None:
        self._pressable(name).click()

    def press_button(self, name: str) -> None:
        self._top.get_by_role("button", name=name, exact=True).click()

    def press_button_like(self, beginning: str) -> None:
        self._top.get_by_role("button", name=re.compile("^" + re.escape(beginning))).click()

    def press_first_entry(self, label: str) -> None:
        expect(self._top.get_by_role("columnheader", name=label, exact=True)).to_be_visible()
        self._first_cell(label).get_by_role("link").click()

    def see(self, text: str) -> None:
        expect(self._top).to_contain_text(text, use_inner_text=True)

    def see_heading(self, name: str) -> None:
        expect(self._top.get_by_role("heading", name=name, exact=True)).to_be_visible()

    def _first_cell(self, label: str) -> Locator:
        return self._top.locator(f"tbody tr [data-label='{label}']").first

    def _pressable(self, name: str) -> Locator:
        """The one button, link or menu that is called so."""
        ways = [self._top.get_by_role(role, name=name, exact=True) for role in ("button", "link")]
        menu = self._top.locator("summary").filter(has_text=re.compile(f"^{re.escape(name)}$"))
        return ways[0].or_(ways[1]).or_(menu).filter(visible=True)

    def _take(self, name: str) -> None:
        """What is on top, without the empty rest of the screen."""
        if self.folder is None:
            return
        self.page.mouse.move(1, 1)  # Nothing is pointed at.
        shown = self.page.locator("dialog[open]")
        if shown.count():
            shown.screenshot(path=self.folder / name)
            return
        content = self.page.locator("#content").evaluate(_LAST_LINE)
        clip = {"x": 0, "y": 0, "width": 1280, "height": min(800, content + 24)}
        self.page.screenshot(path=self.folder / name, clip=clip)


_BOLD = r"\*\*(.+?)\*\*"
_FORMS: list[tuple[str, Callable[..., None]]] = [
    (r"Open `(.+?)`\.", Walker.open),
    (rf"Type `(\w+)` of `var/demo\.json` into {_BOLD}\.", Walker.type_known),
    (rf"Type `([^`]+)` into {_BOLD}\.", Walker.type),
    (rf"Paste this into {_BOLD}:", Walker.paste),
    (rf"Choose {_BOLD} in {_BOLD}\.", Walker.choose),
    (rf"Choose {_BOLD} in {_BOLD} of the first row\.", Walker.choose_in_first_row),
    (rf"Press {_BOLD}\.", Walker.press),
    (rf"Press the button {_BOLD}\.", Walker.press_button),
    (rf"Press the button that begins with {_BOLD}\.", Walker.press_button_like),
    (rf"Press the first entry under {_BOLD}\.", Walker.press_first_entry),
    (rf"You see {_BOLD}\.?", Walker.see),
    (rf"You see the heading {_BOLD}\.?", Walker.see_heading),
]


def _form_of(words: str) -> tuple[Callable[..., None], tuple[str, ...]] | None:
    matches = ((act, re.fullmatch(form, words)) for form, act in _FORMS)
    return next(((act, match.groups()) for act, match in matches if match), None)

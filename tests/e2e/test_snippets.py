"""What README and docs say to type is typed here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.product import ROOT, Product
from tests.support.snippets import EVERY, PAGES, Snippet, blocks

RUN = [one for one in EVERY if not one.mark]
NOT_RUN = [one for one in EVERY if one.mark == "not-run"]
README = ROOT / "README.md"
PBXIM = ".venv/bin/pbxim"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product of its own: what is typed spends its money and puts its clock forward."""
    running = Product(tmp_path_factory.mktemp("snippets") / "var").start()
    yield running
    running.stop()


def type_in(code: str, folder: Path, **more: str) -> str:
    """Types into bash, in a folder as the reader has it; what came out. Every line has to work."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=os.environ | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(text: str) -> list[dict]:
    """The JSON documents that came out, one after the other."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        found.append(document)
    return found


def test_no_block_has_a_mark_that_nobody_knows() -> None:
    assert {one.mark for one in EVERY} == {"", "not-run"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_to_be_typed_is_marked_as_such(page: Path) -> None:
    others = [code for language, code in blocks(page) if language != "sh"]
    commands = r"^ *(curl|make|git|python3?|\.venv/bin/\S+|pbxim) .*"
    assert [found for code in others for found in re.findall(commands, code, re.MULTILINE)] == []


def test_the_readme_s_block_buys_a_number(product: Product) -> None:
    (block,) = [one for one in RUN if one.page == README]
    first = documents(type_in(block.code, product.data.parent))
    again = documents(type_in(block.code, product.data.parent))

    card, order, numbers = first
    assert card["last4"] == "4242"
    assert order["status"] == "fulfilled"
    bought = [one["number"] for one in numbers["data"] if one["origin"] == "purchased"]
    assert bought == [one["number"] for one in order["numbers"]]
    assert again[1]["id"] == order["id"], "the same key is the same order"
    listed = product.customer().get("/v1/numbers").body["data"]
    assert [one["number"] for one in listed if one["origin"] == "purchased"] == bought


@pytest.mark.parametrize("block", [b for b in RUN if b.page != README], ids=lambda b: b.name)
def test_a_block_of_the_docs_is_answered_without_an_error(block: Snippet, product: Product) -> None:
    answers = documents(type_in(block.code, product.data.parent))

    assert answers
    assert [one for one in answers if "code" in one] == []


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda b: b.name)
def test_what_is_not_run_names_only_commands_that_there_are(block: Snippet) -> None:
    for line in re.sub(r"\\\n", " ", block.code).splitlines():
        for command in re.split(r"[;|]|&&", line.partition(" #")[0]):
            words = command.split()
            if words:
                check_command(words)


def check_command(words: list[str]) -> None:
    """A program that is there; of our own ones, also the words that follow."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets
    elif words[0] == PBXIM:
        known = list(takewhile(str.islower, [w for w in words[1:3] if "@" not in w]))
        pbxim(ROOT, *known, "--help")
    elif words[:2] == [".venv/bin/python", "-m"]:
        assert find_spec(words[2])
    elif words[0] == "docker":
        assert words[1] in {"build", "compose", "run"}  # For those who want containers.
    elif words[0] not in {"cd", "set", ".", "umask", "export"}:  # Those are bash's own.
        assert shutil.which(words[0]), f"there is no {words[0]}"


def pbxim(folder: Path, *words: str, **more: str) -> str:
    """Our own command; what it said."""
    call = [sys.executable, "-c", "from deploy.cli import main; main()", *words]
    return type_in(shlex.join(call), folder, PYTHONPATH=str(ROOT), **more)

"""One catalogue: every sentence has a name, every name is used, templates hold no sentence."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from services.gateway import texts
from services.gateway.texts import TEXTS
from shared.refusals import CODES

GATEWAY = Path(texts.__file__).parent.parent
TEMPLATES = sorted((GATEWAY / "templates").rglob("*.html"))
SOURCES = [*TEMPLATES, *sorted((GATEWAY / "pages").rglob("*.py"))]
READ = "\n".join(p.read_text() for p in SOURCES)
NAME = re.compile(r"[\"']((?:[a-z_]+\.)+[A-Za-z0-9_]+)[\"']")
# Names that are put together: the beginning stands in the source, the rest is a value.
BEGINNINGS = re.compile(r"[\"']([a-z_]+(?:\.[a-z_]+)*\.)[\"'{]|f\"([a-z_]+(?:\.[a-z_]+)*\.)\{")
# Which part of the menu is lit, how wide page and dialog are: for the layout, not for a person.
LAYOUT = r"\{% block (?:place|width|size) %\}\w*\{% endblock %\}"
MARKUP = re.compile(LAYOUT + r"|\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
# What a macro holds of markup: the attributes of a link.
ATTRIBUTES = re.compile(r'\b(?:href|hx-[a-z-]+)="[^"]*"')
SPOKEN = {"title", "alt", "placeholder", "aria-label", "data-text", "data-done"}


NAMED = set(NAME.findall(READ))
BEGUN = tuple({one or other for one, other in BEGINNINGS.findall(READ)})


def used(name):
    plain = re.sub(r"\.(one|many|title|lead|next)$", "", name)
    return {name, plain} & NAMED or name.startswith(BEGUN)


def test_every_name_in_a_template_is_in_the_catalogue():
    asked = re.findall(r"\bt\(\"([a-z_.]+[a-z_])\"", READ)

    assert len(asked) > 100
    assert [name for name in asked if name not in TEXTS] == []


def test_every_counted_name_has_one_and_many():
    asked = re.findall(r"counted\(\s*\"([a-z_.]+)\"", READ)

    assert asked
    assert [n for n in asked if not {f"{n}.one", f"{n}.many"} <= set(TEXTS)] == []


def test_every_name_of_the_catalogue_is_used():
    own = [name for name in TEXTS if not name.startswith("problem.")]

    assert [name for name in own if not used(name)] == []


def test_problems_speak_of_codes_that_exist():
    said = {n.split(".")[1] for n in TEXTS if n.startswith("problem.")}

    assert said - set(CODES) == {"code", "request_id", "next", "home", "support"}


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_error_has_a_headline_and_a_way_on_for_a_person(code):
    assert texts.problem_title(code)
    assert texts.problem_next(code).endswith(".")


class Spoken(HTMLParser):
    """Collects what a person would read or hear of a template."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_data(self, data):
        self.found.append(data)

    def handle_starttag(self, tag, attrs):
        self.found += [value or "" for name, value in attrs if name in SPOKEN]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_template_holds_no_sentence_of_its_own(path):
    parser = Spoken()
    parser.feed(ATTRIBUTES.sub("", MARKUP.sub("", path.read_text())))

    assert re.findall(r"[A-Za-z]{2,}", " ".join(parser.found)) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_template_has_nothing_that_the_content_security_policy_forbids(path):
    source = path.read_text()

    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|js:", source) == []
    assert re.findall(r"<script(?![^>]*\ssrc=)", source) == []
    assert "| safe" not in source
    assert "|safe" not in source

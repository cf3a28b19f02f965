"""Errors cross the wire as themselves; codes are stable and say what to do next."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from shared import errors
from shared.errors import Broken, PbxError, Refusal, Unavailable, from_wire, to_wire
from shared.refusals import CODES, next_step, refusal

ROOT = Path(__file__).parents[3]


def leaves(cls: type[PbxError]) -> list[type[PbxError]]:
    below = cls.__subclasses__()
    return [leaf for one in below for leaf in leaves(one)] if below else [cls]


@pytest.mark.parametrize("cls", leaves(PbxError), ids=lambda cls: cls.__name__)
def test_an_error_crosses_the_wire_as_itself(cls: type[PbxError]) -> None:
    fault = {"param": "items[0]", "code": "invalid_value"}
    error = cls("some_code", "Say it to Zoë.", param="items", errors=(fault,), retry_after=1.5)

    again = from_wire(json.loads(json.dumps(to_wire(error))))

    assert type(again) is cls
    assert vars(again) == vars(error)
    assert (str(again), again.args) == (str(error), error.args)


def test_an_error_needs_nothing_but_its_code() -> None:
    error = from_wire(to_wire(Unavailable("busy")))

    assert (error.code, error.detail, error.param, error.errors) == ("busy", "", None, ())
    assert str(error) == "busy"


def test_an_error_of_a_later_version_is_one_for_the_operator() -> None:
    error = from_wire({"kind": "TooEarly", "code": "too_early", "detail": "Wait."})

    assert type(error) is Broken
    assert error.code == "too_early"


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type)]
    assert {c.__name__ for c in classes if issubclass(c, PbxError)} == {*drawn, "PbxError"}


# ── The catalogue ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", CODES)
def test_a_code_says_who_acts_what_it_is_and_what_to_do(code: str) -> None:
    line = CODES[code]

    assert re.fullmatch(r"[a-z][a-z0-9_]*", code)
    assert line.kind in leaves(PbxError)
    assert line.title[0].isupper()
    assert not line.title.endswith(".")
    assert line.next_step.endswith(".")
    assert next_step(code) == line.next_step


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_is_of_the_class_that_the_catalogue_names(code: str) -> None:
    error = refusal(code)

    assert type(error) is CODES[code].kind
    assert (error.code, error.detail) == (code, CODES[code].title + ".")
    assert type(from_wire(to_wire(error))) is type(error)


def test_a_refusal_takes_detail_and_field() -> None:
    error = refusal("invalid_value", "Not 0.", param="quantity", errors=({"param": "a"},))

    assert isinstance(error, Refusal)
    assert (error.detail, error.param, error.errors) == ("Not 0.", "quantity", ({"param": "a"},))


def test_a_code_outside_the_catalogue_fails_at_once() -> None:
    with pytest.raises(KeyError):
        refusal("no_such_code")
    assert next_step("no_such_code") == ""


def codes_in(file: Path) -> set[str]:
    calls = (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call))
    named = (c for c in calls if getattr(c.func, "id", getattr(c.func, "attr", "")) == "refusal")
    firsts = (c.args[0] for c in named if c.args)
    return {f.value for f in firsts if isinstance(f, ast.Constant)}


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    files = [f for top in ("shared", "services", "deploy") for f in (ROOT / top).rglob("*.py")]
    raised = {code: str(file) for file in files for code in codes_in(file)}

    assert len(raised) > 20
    assert {code: file for code, file in raised.items() if code not in CODES} == {}

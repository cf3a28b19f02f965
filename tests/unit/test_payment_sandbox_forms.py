"""Reading form bodies: brackets, kinds, limits; nothing but Malformed ever comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.payment_sandbox.errors import Malformed
from deploy.payment_sandbox.forms import Params, pairs_of, tree_of


def params(text: str) -> Params:
    return Params(tree_of(pairs_of(text)))


def test_brackets_become_hashes_and_lists() -> None:
    found = tree_of(pairs_of("a=1&b[c]=2&b[d][e]=3&x[0]=p&x[1]=q&y[]=r&y[]=s"))
    assert found == {"a": "1", "b": {"c": "2", "d": {"e": "3"}}, "x": ["p", "q"], "y": ["r", "s"]}


@pytest.mark.parametrize(
    "text", ["a=1&a[b]=2", "a[b]=2&a=1", "[a]=1", "a[b=1", "a]=1", "a[b][c][d][e][f][g]=1", "=1"]
)
def test_contradictory_names_are_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        tree_of(pairs_of(text))


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 1001)])
def test_a_body_that_is_no_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        tree_of(pairs_of(body))


@pytest.mark.parametrize("value", ["1.5", "-1", "", "100000000", "１", "1e3", "9" * 400])  # noqa: RUF001  # That is the point.
def test_only_whole_amounts_are_amounts(value: str) -> None:
    with pytest.raises(Malformed):
        Params({"amount": value}).whole("amount")


def test_metadata_has_stripes_limits() -> None:
    assert params("metadata[order]=1&metadata[gone]=").metadata() == {"order": "1"}
    for wrong in ({"k" * 41: "v"}, {"k": "v" * 501}, {"k": {"n": "v"}}):
        with pytest.raises(Malformed):
            Params({"metadata": wrong}).metadata()


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(Malformed) as caught:
        params("colour=red").only(frozenset({"amount"}))
    assert (caught.value.error["code"], caught.value.error["param"]) == (
        "parameter_unknown",
        "colour",
    )


@given(st.text(alphabet="ab01[]=&%é+", max_size=60))
def test_any_text_is_read_or_malformed(text: str) -> None:
    try:
        found = params(text)
    except Malformed:
        return
    for name in found.tree:
        for read in (found.text, found.whole, found.flag, found.branch, found.texts, found.seconds):
            try:
                read(name)
            except Malformed:
                continue

"""Cursors are opaque and come from us."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inventory import paging
from shared.errors import Unprocessable


def _is_text(name):
    return name.encode(errors="replace").decode() == name


NAME = st.text(max_size=200).filter(_is_text)  # A city is not longer.


@given(st.tuples(NAME, NAME, NAME))
def test_a_cursor_stands_for_its_sort_key(key):
    cursor = paging.cursor_of(key)

    assert paging.key_after(cursor, 3) == key
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def made(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%%%",
        "ü",
        "e30",
        "W" * 9000,
        made(["a", "b"]),
        made(["a", "b", 3]),
        made(["\ud800", "b", "c"]),
        made({"a": 1}),
        base64.urlsafe_b64encode(b"[" * 2900).decode(),
    ],
)
def test_any_other_cursor_is_refused(cursor):
    with pytest.raises(Unprocessable, match="invalid_cursor"):
        paging.key_after(cursor, 3)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "٣", "9" * 16, "9" * 5000])
def test_a_list_of_numbers_goes_on_behind_a_number(cursor):
    with pytest.raises(Unprocessable, match="invalid_cursor"):
        paging.number_after(cursor)


def test_no_cursor_is_the_first_page():
    assert paging.key_after(None, 3) is None
    assert paging.number_after(None) == 0
    assert paging.number_after("12125550199") == 12125550199


@pytest.mark.parametrize("limit", [-1, 0, 101, 10**9])
def test_a_page_has_1_to_100_rows(limit):
    with pytest.raises(Unprocessable, match="limit is from 1 to 100"):
        paging.check_limit(limit)

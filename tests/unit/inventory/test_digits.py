"""Numbers that contain some digits: arithmetic against a plain scan."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.inventory.digits import containing


def scan(first, last, wanted):
    return [n for n in range(first, last + 1) if wanted in str(n)]


def fixed_of(first, last):
    pairs = zip(str(first), str(last), strict=True)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), len(str(first)))
    return str(first)[:same]


@st.composite
def searches(draw):
    first = draw(st.integers(10**6, 10**8))
    count = draw(st.integers(1, 2500))
    last = min(first + count - 1, 10 ** len(str(first)) - 1)
    inside = str(draw(st.integers(first, last)))
    start = draw(st.integers(0, len(inside) - 3))
    end = draw(st.integers(start + 3, len(inside)))
    random = draw(st.text("0123456789", min_size=3, max_size=10))
    return first, last, draw(st.sampled_from([inside[start:end], random]))


@given(searches())
@example((12125550100, 12125550199, "501"))
@example((12125550100, 12125550199, "0100"))
@example((19999999, 20000010, "999"))
@example((10000000, 10009999, "000"))
def test_it_finds_what_a_plain_scan_finds(search):
    first, last, wanted = search

    found = containing(first, last, fixed_of(first, last), wanted)

    assert list(found) == scan(first, last, wanted)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("2125", range(12125550100, 12125550200)),  # Among the fixed digits: all of them.
        ("0142", [12125550142]),  # Over the border of fixed and free ones.
        ("501", range(12125550100, 12125550200)),
        ("014", list(range(12125550140, 12125550150))),
        ("999", []),
    ],
)
def test_wanted_digits_lie_in_front_over_the_border_or_behind(wanted, expected):
    assert containing(12125550100, 12125550199, "121255501", wanted) == expected


def test_a_number_that_contains_the_digits_twice_counts_once():
    found = containing(12125550000, 12125559999, "1212555", "111")

    assert found == sorted(set(found)) == scan(12125550000, 12125559999, "111")

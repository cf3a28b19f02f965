"""Phone numbers, as libphonenumber judges them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import phone
from shared.errors import Unprocessable


@pytest.mark.parametrize(
    ("text", "region"),
    [
        *(("+12125550123", None), ("+1 (212) 555-0123", None), ("(212) 555-0123", "US")),
        *(("1-212-555-0123", "US"), ("tel:+1-212-555-0123", None), ("+12125550123", "DE")),
    ],
)
def test_any_printed_form_becomes_e164(text: str, region: str | None) -> None:
    assert phone.parse_e164(text, region) == "+12125550123"


@pytest.mark.parametrize(
    "text", ["", "2125550123", "+1212", "+999123456789", "hello", "+1" + "2" * 20]
)
def test_what_no_plan_contains_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable, match="number_invalid") as raised:
        phone.parse_e164(text, param="numbers")

    assert raised.value.param == "numbers"


@pytest.mark.parametrize(
    ("number", "kinds"),
    [
        ("+12125550123", {"geographic", "mobile"}),  # NANP does not tell fixed from mobile.
        ("+442079460000", {"geographic"}),
        ("+447400123456", {"mobile"}),
        ("+18005550123", {"toll_free"}),
        ("+498001234567", {"toll_free"}),
        ("+443031234567", {"national"}),
    ],
)
def test_a_number_is_of_the_types_that_libphonenumber_says(number: str, kinds: set[str]) -> None:
    assert {kind for kind in phone.TYPES if phone.is_of_type(number, kind)} == kinds


@pytest.mark.parametrize(
    ("number", "country", "belongs"),
    [
        *(("+12125550123", "US", True), ("+12125550123", "CA", False)),
        *(("+14165550123", "CA", True), ("+14165550123", "US", False)),
        *(
            ("+18005550123", "US", True),
            ("+18005550123", "CA", True),
            ("+18005550123", "DE", False),
        ),
        *(("+442079460000", "GB", True), ("+498001234567", "CA", False)),
    ],
)
def test_a_number_belongs_to_its_country(number: str, country: str, *, belongs: bool) -> None:
    assert phone.is_of_country(number, country) is belongs


def test_a_number_is_shown_as_people_write_it() -> None:
    assert phone.display("+12125550123") == "+1 (212) 555-01-23"
    assert phone.display("+442079460000") == "+44 20 7946 0000"


def test_the_national_part_and_the_calling_code() -> None:
    assert phone.national("+12125550123") == "2125550123"
    assert (phone.country_code("+12125550123"), phone.country_code("+442079460000")) == (1, 44)


@settings(print_blob=True, max_examples=50)
@given(st.integers(0, 9_999_999), st.integers(0, 9_999))
def test_the_numbers_of_a_block_follow_each_other(start: int, steps: int) -> None:
    first = f"+1212{start:07d}"
    further = phone.plus(first, steps)

    assert phone.distance(first, further) == steps
    assert len(further) == len(first)
    assert int(further) == int(first) + steps

"""Money: whole micros, decimal strings at the edge, never floats."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Unprocessable
from shared.money import (
    MICROS,
    Money,
    format_micros,
    minor_unit_micros,
    parse_micros,
    require_currency,
)

micros = st.integers(0, 10**15)
signed = st.integers(-(10**15), 10**15)
currencies = st.sampled_from(["USD", "EUR", "JPY", "KWD"])


@settings(print_blob=True)
@given(micros)
def test_what_is_written_reads_the_same(amount: int) -> None:
    assert parse_micros(format_micros(amount)) == amount


@settings(print_blob=True)
@given(signed)
def test_amounts_are_written_with_two_to_six_decimals(amount: int) -> None:
    whole, _, decimals = format_micros(amount).partition(".")

    assert Decimal(format_micros(amount)) * MICROS == amount
    assert 2 <= len(decimals) <= 6
    assert len(decimals) == 2 or decimals[-1] != "0"
    assert whole.startswith("-") == (amount < 0)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1.26", 1_260_000),
        ("0", 0),
        ("12", 12_000_000),
        (" 0.0085 ", 8_500),
        ("1.5000000", 1_500_000),
    ],
)
def test_plain_decimals_are_read(text: str, amount: int) -> None:
    assert parse_micros(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-1", "+1", "1e3", "1E-2", "NaN", "Infinity", "-0.01", "0.0000001", "1.1234567"),
        *(
            "1,26",
            "1_000",
            "1.",
            ".5",
            "0x10",
            "\uff11\uff12",
            "1.2.3",
            "abc",
            "1" + "0" * 30,
            "1000000001",
        ),
        "1." + "0" * 40 + "1",
    ],
)
def test_anything_else_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Unprocessable, match="invalid_value") as raised:
        parse_micros(text, "monthly_fee")

    assert raised.value.param == "monthly_fee"


@settings(print_blob=True)
@given(signed, currencies)
def test_minor_units_are_rounded_half_up_in_size(amount: int, currency: str) -> None:
    unit = minor_unit_micros(currency)
    exact = (Decimal(amount) / unit).quantize(Decimal(1), ROUND_HALF_UP)

    assert Money(amount, currency).minor_units() == int(exact)
    assert Money(amount, currency).rounded() == Money(int(exact) * unit, currency)
    assert Money(-amount, currency).minor_units() == -Money(amount, currency).minor_units()


@pytest.mark.parametrize(
    ("currency", "unit", "amount", "minor"),
    [
        *(("USD", 10_000, 1_264_999, 126), ("USD", 10_000, 1_265_000, 127)),
        *(("JPY", 1_000_000, 1_499_999, 1), ("JPY", 1_000_000, 1_500_000, 2)),
        *(("KWD", 1_000, 1_264_499, 1264), ("KWD", 1_000, 1_264_500, 1265)),
    ],
)
def test_each_currency_has_its_minor_unit(
    currency: str, unit: int, amount: int, minor: int
) -> None:
    assert minor_unit_micros(currency) == unit
    assert Money(amount, currency).minor_units() == minor


@settings(print_blob=True)
@given(signed, signed, st.integers(-1000, 1000))
def test_sums_are_exact(one: int, other: int, times: int) -> None:
    a, b = Money(one, "USD"), Money(other, "USD")

    assert (a + b) - b == a
    assert a * times == Money(one * times, "USD")
    assert isinstance((a * times).micros, int)


def test_different_currencies_are_not_added_up() -> None:
    for operation in (Money.__add__, Money.__sub__):
        with pytest.raises(Unprocessable, match="mixed_currency"):
            operation(Money(1, "USD"), Money(1, "EUR"))


def test_money_is_written_as_the_api_promises() -> None:
    assert Money(1_260_000, "USD").as_json() == {"amount": "1.26", "currency": "USD"}


def test_a_float_is_not_taken_for_money() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"micros":1.5,"currency":"USD"}', type=Money)


@pytest.mark.parametrize("code", ["USD", "EUR", "JPY", "KWD", "PLN"])
def test_currencies_of_iso_4217_are_known(code: str) -> None:
    assert require_currency(code) == code


@pytest.mark.parametrize("code", ["", "usd", "US", "XYZ", "DOLLAR"])
def test_other_currencies_are_refused(code: str) -> None:
    with pytest.raises(Unprocessable, match="invalid_value"):
        require_currency(code)

"""Money in whole micros (10⁻⁶ of the currency unit): nothing is rounded until an invoice line.

Decimal strings at the edge (``"1.26"``), micros inside, minor units only towards the payment
provider. Never floats. Rules: architecture section 10; docs/explanation/money.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import get_currency_precision, is_currency

from shared.refusals import refusal

MICROS = 1_000_000
_MOST_MICROS = 10**15  # A thousand million units: beyond it is a typing mistake.
_PLAIN = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6}0*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in micros of one currency (ISO 4217)."""

    micros: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.micros + _same_currency(self, other).micros, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.micros - _same_currency(self, other).micros, self.currency)

    def __mul__(self, times: int) -> Money:
        return Money(self.micros * times, self.currency)

    def __str__(self) -> str:
        return format_micros(self.micros)

    def as_json(self) -> dict[str, str]:
        """``{"amount": "1.26", "currency": "USD"}``: the form of the API."""
        return {"amount": str(self), "currency": self.currency}

    def minor_units(self) -> int:
        """Whole minor units (cents) for the payment provider, rounded half up."""
        return _round_half_up(self.micros, minor_unit_micros(self.currency))

    def rounded(self) -> Money:
        """The amount a customer is charged: whole minor units, half up."""
        return Money(self.minor_units() * minor_unit_micros(self.currency), self.currency)


def _same_currency(one: Money, other: Money) -> Money:
    if one.currency != other.currency:
        raise refusal("mixed_currency", f"{one.currency} and {other.currency} cannot be added up.")
    return other


def _round_half_up(micros: int, unit: int) -> int:
    # Half up in size, whatever the sign, so that a refund mirrors its charge.
    size = (2 * abs(micros) + unit) // (2 * unit)
    return size if micros >= 0 else -size


def minor_unit_micros(currency: str) -> int:
    """Micros in one minor unit: 10,000 for USD, 1,000,000 for JPY (CLDR currency data)."""
    return MICROS // int(10 ** get_currency_precision(currency))


def format_micros(micros: int) -> str:
    """``1260000`` → ``"1.26"``: at least two, at most six decimals."""
    sign, size = ("-", -micros) if micros < 0 else ("", micros)
    whole, rest = divmod(size, MICROS)
    return f"{sign}{whole}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"


def parse_micros(text: str, param: str = "amount") -> int:
    """``"1.26"`` → ``1260000``. Raises ``invalid_value`` for more than six decimals, signs of
    exponent, negative amounts and anything that is not a plain decimal number."""
    plain = text.strip()
    micros = int(Decimal(plain) * MICROS) if _PLAIN.fullmatch(plain) else -1
    if not 0 <= micros <= _MOST_MICROS:
        detail = f"{text[:40]!r} is not an amount from 0 with at most six decimals."
        raise refusal("invalid_value", detail, param=param)
    return micros


def require_currency(code: str) -> str:
    """The code if ISO 4217 knows it; else ``invalid_value``."""
    if not is_currency(code):
        raise refusal("invalid_value", f"{code!r} is no currency of ISO 4217.", param="currency")
    return code

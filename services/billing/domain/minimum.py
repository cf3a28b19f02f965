"""The least that the payment provider takes at once; less than that stays owed.

Stripe's published minimums, in the currency that is charged and settled:
https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts. Where the bank account of an
installation has another currency, Stripe converts, and the minimum of that currency binds as well:
what is refused there is a payment that failed. Of a currency that is not in their table only one
minor unit is known to be the least.
"""

from __future__ import annotations

from shared.money import Money, minor_unit_micros, parse_micros

_STRIPE = {
    "AED": "2.00",
    "AUD": "0.50",
    "BGN": "1.00",
    "BRL": "0.50",
    "CAD": "0.50",
    "CHF": "0.50",
    "CZK": "15.00",
    "DKK": "2.50",
    "EUR": "0.50",
    "GBP": "0.30",
    "HKD": "4.00",
    "HUF": "175.00",
    "INR": "0.50",
    "JPY": "50",
    "MXN": "10",
    "MYR": "2",
    "NOK": "3.00",
    "NZD": "0.50",
    "PLN": "2.00",
    "RON": "2.00",
    "SEK": "3.00",
    "SGD": "0.50",
    "THB": "10",
    "USD": "0.50",
}


def minimum(currency: str) -> Money:
    """The least that can be charged at once."""
    known = _STRIPE.get(currency)
    return Money(parse_micros(known) if known else minor_unit_micros(currency), currency)


def missing(amount: Money) -> Money:
    """What an amount, as it would be charged, lacks of the minimum; zero if it can be charged."""
    lacks = minimum(amount.currency).micros - amount.rounded().micros
    return Money(max(0, lacks), amount.currency)

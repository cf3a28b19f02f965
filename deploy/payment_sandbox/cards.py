"""The test cards and what each of them does.

Numbers and tokens are Stripe's own (https://docs.stripe.com/testing), so a test written against
this sandbox can be run against a Stripe test account.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.payment_sandbox.errors import CardRefused, Json, Malformed
from deploy.payment_sandbox.forms import Params

DECLINED = "Your card was declined."
NOT_A_TEST_CARD = (
    "Your card was declined. Your request was in test mode, but used a non test card."
    " For a list of valid test cards, visit: https://docs.stripe.com/testing."
)


@dataclass(frozen=True)
class SandboxCard:
    """One test card: its token, its number, and where it says no."""

    token: str
    number: str
    brand: str = "visa"
    refused_when_added: str | None = None
    declined_at_charge: str | None = None
    asks_for_authentication: bool = False

    @property
    def last4(self) -> str:
        """The last four digits; they are different for every card of the table."""
        return self.number[-4:]


CARDS = (
    SandboxCard("pm_card_visa", "4242424242424242"),
    SandboxCard("pm_card_mastercard", "5555555555554444", "mastercard"),
    SandboxCard("pm_card_amex", "378282246310005", "amex"),
    SandboxCard(
        "pm_card_visa_chargeDeclined", "4000000000000002", refused_when_added="generic_decline"
    ),
    SandboxCard(
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "4000000000009995",
        refused_when_added="insufficient_funds",
    ),
    SandboxCard(
        "pm_card_chargeCustomerFail", "4000000000000341", declined_at_charge="generic_decline"
    ),
    SandboxCard("pm_card_authenticationRequired", "4000002760003184", asks_for_authentication=True),
    SandboxCard(
        "pm_card_authenticationRequiredOnSetup", "4000002500003155", asks_for_authentication=True
    ),
)
_BY_TOKEN = {card.token: card for card in CARDS}
_BY_NUMBER = {card.number: card for card in CARDS}
_BY_LAST4 = {card.last4: card for card in CARDS}


def by_token(token: str) -> SandboxCard | None:
    """The card behind `pm_card_visa` or `tok_visa`, or None for any other id."""
    return _BY_TOKEN.get(re.sub(r"^tok_", "pm_card_", token))


def of_method(method: Json) -> SandboxCard:
    """The card behind a stored payment method."""
    return _BY_LAST4[method["card"]["last4"]]


def typed(fields: Params) -> tuple[SandboxCard, Json]:
    """The card a person typed, and its expiry; CardRefused says which field is wrong."""
    number = re.sub(r"[\s-]", "", fields.need("number"))
    if not re.fullmatch(r"[0-9]{12,19}", number) or not _luhn(number):
        raise _wrong("Your card number is incorrect.", "incorrect_number", "number")
    expiry = _expiry(fields)
    if not re.fullmatch(r"[0-9]{3,4}", fields.text("cvc") or ""):
        raise _wrong("Your card's security code is invalid.", "invalid_cvc", "cvc")
    card = _BY_NUMBER.get(number)
    if card is None:
        raise CardRefused(NOT_A_TEST_CARD, "card_declined", decline_code="test_mode_live_card")
    return card, expiry


def _expiry(fields: Params) -> Json:
    month, year = fields.whole("exp_month"), fields.whole("exp_year")
    if month is None or not 1 <= month <= 12:  # noqa: PLR2004  # Named by its context.
        message = "Your card's expiration month is invalid."
        raise _wrong(message, "invalid_expiry_month", "exp_month")
    year = (year or 0) + (2000 if (year or 0) < 100 else 0)  # noqa: PLR2004  # Named by its context.
    today = datetime.now(UTC)
    if not (today.year, today.month) <= (year, month) or year > today.year + 50:
        message = "Your card's expiration year is invalid."
        raise _wrong(message, "invalid_expiry_year", "exp_year")
    return {"exp_month": month, "exp_year": year}


def token_expiry() -> Json:
    """Cards made from a token stay valid long enough for any test clock in use."""
    return {"exp_month": 12, "exp_year": datetime.now(UTC).year + 8}


def details(card: SandboxCard, expiry: Json) -> Json:
    """The `card` hash of a payment method; it holds four digits of the number and no more."""
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        **expiry,
        "fingerprint": hashlib.sha256(card.number.encode()).hexdigest()[:16],
        "funding": "credit",
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def refuse_numbers(data: Params) -> None:
    """A secret key must never travel with a card number: our server would have seen it."""
    if "number" in data.branch("card").tree:
        message = (
            "Sending credit card numbers directly to the Stripe API is generally unsafe."
            " Use the card form of the sandbox, or a test token such as pm_card_visa."
        )
        raise Malformed(message, param="card[number]")


def _wrong(message: str, code: str, param: str) -> CardRefused:
    return CardRefused(message, code, param=param)


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0

"""How amounts, times and numbers are written for the account: English, its country, its zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from phonenumbers import PhoneNumberType as Kind

from services.gateway import texts
from shared import phone
from shared.money import Money, parse_micros
from shared.regions import region_name

_NANP = 1
_SHORT = 4
_DAY_LENGTH = len("2026-02-27")
# The types of libphonenumber that an example is taken from (contract.md section 2).
_KINDS = {
    "geographic": (Kind.FIXED_LINE,),
    "national": (Kind.UAN, Kind.VOIP, Kind.SHARED_COST),
    "mobile": (Kind.MOBILE,),
    "toll_free": (Kind.TOLL_FREE,),
}


@dataclass(frozen=True)
class Formats:
    """Writes values for one account. ``locale`` as Babel names it, ``zone`` IANA."""

    locale: str = "en"
    zone: str = "UTC"

    def money(self, value: dict[str, str] | None) -> str:
        """``{"amount": "1.26", "currency": "USD"}`` → ``$1.26``; all decimals there are."""
        if value is None:
            return texts.text("word.none")
        amount = Decimal(value["amount"])
        return str(
            format_currency(
                amount, value["currency"], locale=self.locale, decimal_quantization=False
            )
        )

    def moment(self, value: str | datetime) -> str:
        """Day and minute in the account's zone, which is named."""
        return str(format_datetime(self._local(value), "d MMM y, HH:mm z", locale=self.locale))

    def day(self, value: str | date) -> str:
        """A calendar day, ``27 February 2026``; of an instant, the day in the account's zone."""
        return str(format_date(self._day(value), "d MMMM y", locale=self.locale))

    def short_day(self, value: str | date) -> str:
        """A calendar day for a table: ``27 Feb 2026``."""
        return str(format_date(self._day(value), "d MMM y", locale=self.locale))

    def count(self, value: int) -> str:
        """``12,345``."""
        return str(format_decimal(value, locale=self.locale))

    def today(self, now: datetime) -> date:
        """The day it is in the account's zone."""
        return self._local(now).date()

    def country(self, code: str) -> str:
        """``US`` → ``United States``."""
        return str(Locale.parse(self.locale).territories.get(code, code))

    def region(self, country: str, code: str) -> str:
        """``US, NY`` → ``New York``; a dash where there is none."""
        return region_name(country, code) if code else texts.text("word.none")

    def type(self, kind: str) -> str:
        """``toll_free`` → ``Toll free``."""
        return texts.text(f"type.{kind}")

    def months(self, count: int) -> str:
        """``1 month``, ``3 months``."""
        return texts.counted("word.months", count)

    def number(self, e164: str) -> str:
        """``+12125550123`` → ``+1 (212) 555-01-23``."""
        return phone.display(e164)

    def prefix(self, row: dict[str, Any]) -> str:
        """An offer's numbers: ``+1 (212) XXX-XX-XX``."""
        return _prefix(row["prefix"], row["area_code"], row["country"], row["type"])

    def card(self, card: dict[str, Any]) -> str:
        """``Visa ending in 4242``."""
        brand = str(card["brand"]).replace("_", " ").title()
        return texts.text("word.card", brand=brand, last4=card["last4"])

    def expiry(self, card: dict[str, Any]) -> str:
        """``07/2031``: as it is printed on the card."""
        return texts.text(
            "word.expires.on", month=f"{card['exp_month']:02d}", year=card["exp_year"]
        )

    def _day(self, value: str | date) -> date:
        if isinstance(value, str) and len(value) == _DAY_LENGTH:
            return date.fromisoformat(value)
        return value if isinstance(value, date) else self._local(value).date()

    def _local(self, value: str | datetime) -> datetime:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return at.astimezone(ZoneInfo(self.zone))


def formats_for(account: dict[str, Any] | None) -> Formats:
    """English as it is written in the account's country; without one, plain English and UTC."""
    if account is None:
        return Formats()
    return Formats(_locale(str(account["country"])), str(account["time_zone"]))


@lru_cache
def _locale(country: str) -> str:
    try:
        return str(Locale.parse(f"en_{country}"))
    except (UnknownLocaleError, ValueError):
        return "en"


@lru_cache(maxsize=4096)
def _prefix(prefix: str, area_code: str, country: str, kind: str) -> str:
    calling = prefix.removeprefix("+").removesuffix(area_code)
    if calling == str(_NANP):
        return f"+1 ({area_code}) XXX-XX-XX"
    return f"+{calling} {area_code} {_groups(_length(country, kind, area_code) - len(area_code))}"


def _length(country: str, kind: str, area_code: str) -> int:
    """Digits of a national number: of an example with this area code, else of the longest."""
    found = (phonenumbers.example_number_for_type(country, k) for k in _KINDS[kind])
    examples = [phonenumbers.national_significant_number(e) for e in found if e is not None]
    alike = [e for e in examples if e.startswith(area_code)]
    return max(map(len, alike or examples), default=len(area_code))


def _groups(digits: int) -> str:
    if digits <= _SHORT:
        return "X" * digits
    return f"{'X' * (digits // 2)} {'X' * (digits - digits // 2)}"


def amount(found: dict[str, str]) -> Money:
    """The amount that the API writes as ``{"amount": "1.26", "currency": "USD"}``."""
    return Money(parse_micros(found["amount"]), found["currency"])

"""Phone numbers in E.164, judged by libphonenumber's metadata (never by hand-written patterns)."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType as Kind

from shared.refusals import refusal

TYPES = ("geographic", "national", "mobile", "toll_free")

# contract.md section 2: which of libphonenumber's types each of ours takes.
_KINDS: dict[str, frozenset[int]] = {
    "geographic": frozenset({Kind.FIXED_LINE, Kind.FIXED_LINE_OR_MOBILE}),
    "mobile": frozenset({Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE}),
    "toll_free": frozenset({Kind.TOLL_FREE}),
    "national": frozenset({Kind.UAN, Kind.VOIP, Kind.SHARED_COST}),
}
_NANP = 1


def parse_e164(text: str, region: str | None = None, param: str = "number") -> str:
    """Any printed form → E.164 (``+12125550123``). ``region`` (ISO 3166) helps with national forms.

    Raises ``number_invalid`` for what no numbering plan contains.
    """
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise refusal("number_invalid", f"{text!r} is not a phone number.", param=param) from None
    if not phonenumbers.is_possible_number(parsed):
        raise refusal("number_invalid", f"{text!r} has no possible length.", param=param)
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


@lru_cache(maxsize=65_536)
def _parsed(number: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(number, None)


def national(number: str) -> str:
    """The national significant number: ``+12125550123`` → ``2125550123``."""
    return str(phonenumbers.national_significant_number(_parsed(number)))


def country_code(number: str) -> int:
    """The calling code: ``+1…`` → 1."""
    return int(_parsed(number).country_code or 0)


def is_of_country(number: str, country: str) -> bool:
    """Whether the number may be sold in the country. NANP toll-free belongs to US and CA alike."""
    parsed = _parsed(number)
    if phonenumbers.region_code_for_number(parsed) == country:
        return True
    calling = phonenumbers.country_code_for_region(country)
    toll_free = phonenumbers.number_type(parsed) == Kind.TOLL_FREE
    return bool(toll_free and calling == _NANP and parsed.country_code == _NANP)


def is_of_type(number: str, kind: str) -> bool:
    """Whether libphonenumber puts the number into this type of ours."""
    return phonenumbers.number_type(_parsed(number)) in _KINDS[kind]


@lru_cache(maxsize=65_536)
def display(number: str) -> str:
    """For people: ``+1 (212) 555-01-23`` in NANP (the product page's form), else international."""
    parsed = _parsed(number)
    if parsed.country_code == _NANP:
        n = national(number)
        return f"+1 ({n[:3]}) {n[3:6]}-{n[6:8]}-{n[8:]}"
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


def plus(number: str, steps: int) -> str:
    """The number ``steps`` further on, same length: ``+12125550199`` plus 1 → ``+12125550200``."""
    digits = number[1:]
    return f"+{int(digits) + steps:0{len(digits)}d}"


def distance(first: str, number: str) -> int:
    """How many steps lie between two numbers: the index of a number in its block."""
    return int(number) - int(first)

"""Whether a number could be ported in: judged by libphonenumber's metadata and by what is ours.

Only the losing carrier knows for certain; this finds what is sure to be refused (contract section
2, Porting).
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import phonenumbers

from shared import phone
from shared.errors import Refusal
from shared.refusals import CODES, refusal

MOST_NUMBERS = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """One number: in E.164 where it can be read, else as it was sent. ``code`` says why not."""

    number: str
    code: str | None = None

    @property
    def portable(self) -> bool:
        """Whether nothing speaks against it."""
        return self.code is None

    @property
    def detail(self) -> str:
        """A sentence for a person; empty for a number that can be ported."""
        return "" if self.code is None else CODES[self.code].title + "."


def check_request(country: str, numbers: Sequence[str]) -> str:
    """The country's code (ISO 3166) as it is written. Raises ``invalid_value`` for one without a
    numbering plan, ``no_numbers``, and ``too_many_numbers`` over 1,000."""
    region = country.upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        detail = f"{country!r} is no country with a numbering plan."
        raise refusal("invalid_value", detail, param="country")
    if not numbers:
        raise refusal("no_numbers", param="numbers")
    if len(numbers) > MOST_NUMBERS:
        raise refusal("too_many_numbers", param="numbers")
    return region


def read(country: str, text: str) -> str | None:
    """A number in any printed form, national ones as written in the country; ``None`` for what is
    none."""
    try:
        number = phone.parse_e164(text, country)
    except Refusal:
        return None
    return number if phonenumbers.is_valid_number(phonenumbers.parse(number, None)) else None


def judge(country: str, texts: Sequence[str], ours: AbstractSet[str]) -> list[Verdict]:
    """One verdict per number, in order. ``ours``: those of them that are with us now."""
    seen: set[str] = set()
    verdicts = []
    for text in texts:
        number = read(country, text)
        code = "number_invalid" if number is None else _why_not(country, number, ours, seen)
        verdicts.append(Verdict(number or text, code))
        seen.add(number or text)
    return verdicts


def _why_not(
    country: str, number: str, ours: AbstractSet[str], seen: AbstractSet[str]
) -> str | None:
    if number in seen:
        return "duplicate_number"
    if not phone.is_of_country(number, country):
        return "country_mismatch"
    if not any(phone.is_of_type(number, kind) for kind in phone.TYPES):
        return "not_portable"
    return "already_ours" if number in ours else None

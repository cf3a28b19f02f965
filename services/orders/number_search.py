"""What a person types to find numbers, as a condition on their rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import or_

from services.orders.number_rows import folded
from services.orders.projections import tenure
from shared.refusals import refusal

_SIGNS = r"[\d\s()+./\-\u2010-\u2015\u00a0]*"
_PRINTED = re.compile(rf"{_SIGNS}\d{_SIGNS}")
_BETWEEN = re.compile(r"[\n\r,;]+|(?<=\d)\s*(?=\+)")
_WHOLE = 9  # Digits from which one of several numbers is taken for a whole one.
_FEW = 20  # Among more numbers than these nobody looks for parts of some.
_MOST = 200


def matches(q: str) -> Any:
    """One number or a part of it, in any printed form; several numbers, separated by lines, commas
    or semicolons; or text of description and labels. Raises ``invalid_value`` for more than 200
    numbers."""
    parts = [part.strip() for part in _BETWEEN.split(q) if part.strip()]
    if len(parts) > 1 and all(map(_PRINTED.fullmatch, parts)):
        return _any_of([_digits(part) for part in parts])
    text = tenure.c.searched.contains(folded(q), autoescape=True)
    return or_(text, *_has_digits(_digits(q))) if _PRINTED.fullmatch(q) else text


def _digits(printed: str) -> str:
    return re.sub(r"\D", "", printed.replace("(0)", ""))


def _has_digits(digits: str) -> Iterator[Any]:
    yield tenure.c.digits.contains(digits)
    # As printed: 00 before the calling code, or one trunk zero before the national number. (Italian
    # numbers keep theirs: the first condition finds them.)
    if digits.startswith("00") and digits[2:]:
        yield tenure.c.digits.startswith(digits[2:])
    elif digits.startswith("0") and digits[1:]:
        yield tenure.c.national.startswith(digits[1:])


def _any_of(numbers: Sequence[str]) -> Any:
    if len(numbers) > _MOST:
        raise refusal("invalid_value", f"Search for at most {_MOST} numbers at once.", param="q")
    # Whole numbers are compared as sets: many patterns would each be held against every row.
    whole = {n for n in numbers if len(n) >= _WHOLE or len(numbers) > _FEW}
    written = whole | {n.removeprefix("00") for n in whole}
    national = whole | {n.removeprefix("0") for n in whole}
    parts = [one for n in numbers if n not in whole for one in _has_digits(n)]
    return or_(tenure.c.digits.in_(written), tenure.c.national.in_(national), *parts)

"""The stock file: a CSV whose rows are blocks. Good rows become commands, bad ones are named."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.inventory.domain.block import MOST_NUMBERS, offer_id
from services.inventory.messages import Place, StockBlock, Terms
from shared import phone
from shared.errors import PbxError
from shared.money import parse_micros, require_currency
from shared.refusals import refusal

COLUMNS = (
    "country",
    "region",
    "city",
    "area_code",
    "type",
    "first_number",
    "count",
    "sms",
    "setup_fee",
    "monthly_fee",
    "min_period_months",
    "per_minute",
    "connect_fee",
    "currency",
    "billing_increments",
)
_INCREMENTS = re.compile(r"[1-9][0-9]{0,3}/[1-9][0-9]{0,3}")
_MOST_MONTHS = 120
_MOST_DIGITS = 9
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class FileRow:
    """One line of the file: a command, or the error that names what is wrong with it."""

    line: int
    command: StockBlock | None = None
    error: PbxError | None = None


def read(text: str) -> list[FileRow]:
    """All rows of a stock file, each under the number of the line it begins on; whatever is wrong
    with a row is its own result. Raises ``csv_header_wrong`` and ``csv_empty``."""
    return [_row(line, header, found) for line, header, found in _records(text)]


def count(text: str) -> int:
    """How many rows a stock file has, good or bad. Raises what ``read`` raises."""
    return len(_records(text))


_Found = list[str] | csv.Error


def _records(text: str) -> list[tuple[int, list[str], _Found]]:
    lines = _Lines(text)
    header = _header(next((found for _, found in lines), []))
    records = [(line, header, found) for line, found in lines]
    if not records:
        raise refusal("csv_empty", param="csv")
    return records


class _Lines:
    """The rows of a CSV that are not blank. What is not CSV is an error in place of its row."""

    def __init__(self, text: str) -> None:
        file = io.StringIO(text.removeprefix("\ufeff"), newline="")
        self._reader = csv.reader(file, strict=True)

    def __iter__(self) -> Iterator[tuple[int, _Found]]:
        while True:
            line = self._reader.line_num + 1
            try:
                found = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, error
                continue
            if found:
                yield line, found


def _header(found: _Found) -> list[str]:
    if isinstance(found, csv.Error):
        raise refusal("csv_header_wrong", f"The first line is no CSV: {found}.", param="csv")
    if not found:
        raise refusal("csv_empty", param="csv")
    _check_header(found)
    return found


def _check_header(found: list[str]) -> None:
    missing = [c for c in COLUMNS if c not in found]
    extra = [c for c in found if c not in COLUMNS]
    twice = [c for c in COLUMNS if found.count(c) > 1]
    for what, names in (("missing", missing), ("unknown", extra), ("twice", twice)):
        if names:
            listed = ", ".join(names)[:_LONGEST_NAME]
            detail = f"The columns are {', '.join(COLUMNS)}; {what}: {listed}."
            raise refusal("csv_header_wrong", detail, param="csv")


def _row(line: int, header: list[str], found: _Found) -> FileRow:
    try:
        return FileRow(line, command=_command(_fields(header, found)))
    except PbxError as error:
        return FileRow(line, error=error)


def _fields(header: list[str], found: _Found) -> dict[str, str]:
    if isinstance(found, csv.Error):
        raise refusal("invalid_value", f"The row is no CSV: {found}.")
    if len(found) != len(header):
        detail = f"The row has {len(found)} fields; the header has {len(header)}."
        raise refusal("invalid_value", detail)
    fields = {name: field.strip() for name, field in zip(header, found, strict=True)}
    for name, field in fields.items():
        if not field.isprintable():
            raise refusal("invalid_value", f"{name} has a control character.", param=name)
    return fields


def _command(f: dict[str, str]) -> StockBlock:
    first, count = _numbers(f)
    place, terms = _place(f), _terms(f)
    return StockBlock(
        block_id=first, count=count, offer_id=offer_id(place, terms), place=place, terms=terms
    )


def _numbers(f: dict[str, str]) -> tuple[str, int]:
    first = _first(f["first_number"])
    count = _whole(f, "count", 1, MOST_NUMBERS)
    last = phone.plus(first, count - 1)
    if len(last) != len(first):
        raise refusal("invalid_value", "The block runs over the end of its range.", param="count")
    for number in (first, last):
        _check_number(number, f)
    return first, count


def _first(text: str) -> str:
    number = phone.parse_e164(text, None, "first_number")
    if [c for c in text if c.isalnum()] != list(number[1:]):  # Letters, or an extension.
        raise refusal("number_invalid", f"{text[:40]!r} is not in E.164.", param="first_number")
    return number


def _check_number(number: str, f: dict[str, str]) -> None:
    if f["type"] not in phone.TYPES:
        raise refusal("invalid_value", f"type is one of {', '.join(phone.TYPES)}.", param="type")
    if not phone.is_of_country(number, f["country"]):
        raise refusal("country_mismatch", f"{number} is not of {f['country']}.", param="country")
    if not phone.is_of_type(number, f["type"]):
        raise refusal("type_mismatch", f"{number} is not {f['type']}.", param="type")
    if not f["area_code"].isdigit() or not phone.national(number).startswith(f["area_code"]):
        detail = f"{phone.national(number)} does not begin with {f['area_code']}."
        raise refusal("area_code_mismatch", detail, param="area_code")


def _place(f: dict[str, str]) -> Place:
    for name in ("region", "city"):
        if len(f[name]) > _LONGEST_NAME:
            raise refusal("invalid_value", f"{name} is too long.", param=name)
    return Place(
        country=f["country"],
        region=f["region"],
        city=f["city"],
        area_code=f["area_code"],
        type=f["type"],
    )


def _terms(f: dict[str, str]) -> Terms:
    return Terms(
        currency=require_currency(f["currency"]),
        setup_fee=parse_micros(f["setup_fee"], "setup_fee"),
        monthly_fee=parse_micros(f["monthly_fee"], "monthly_fee"),
        per_minute=parse_micros(f["per_minute"], "per_minute"),
        connect_fee=parse_micros(f["connect_fee"], "connect_fee"),
        min_period_months=_whole(f, "min_period_months", 1, _MOST_MONTHS),
        billing_increments=_increments(f["billing_increments"]),
        sms=_flag(f["sms"]),
    )


def _whole(f: dict[str, str], name: str, low: int, high: int) -> int:
    text = f[name]
    plain = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    if not plain or not low <= int(text) <= high:
        raise refusal(
            "invalid_value", f"{name} is a whole number from {low} to {high}.", param=name
        )
    return int(text)


def _increments(text: str) -> str:
    if not _INCREMENTS.fullmatch(text):
        detail = "billing_increments is seconds/seconds, as in 60/1."
        raise refusal("invalid_value", detail, param="billing_increments")
    return text


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise refusal("invalid_value", "sms is true or false.", param="sms")
    return text == "true"

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
_INCREMENTS = re.compile(r"[1-9]\d{0,3}/[1-9]\d{0,3}")
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
    """All rows of a stock file. Raises ``csv_header_wrong`` and ``csv_empty`` for a file that has
    no rows to speak of; whatever is wrong with a row is its own result."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    _check_header(tuple(reader.fieldnames or ()))
    rows = list(_rows(reader))
    if not rows:
        raise refusal("csv_empty")
    return rows


def _check_header(found: tuple[str, ...]) -> None:
    missing = [c for c in COLUMNS if c not in found]
    extra = [c for c in found if c not in COLUMNS]
    if missing or extra:
        parts = ("missing: " + ", ".join(missing)) if missing else ("unknown: " + ", ".join(extra))
        detail = f"The columns are {', '.join(COLUMNS)}; {parts}."
        raise refusal("csv_header_wrong", detail, param="csv")


def _rows(reader: csv.DictReader[str]) -> Iterator[FileRow]:
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRow(reader.line_num, error=refusal("invalid_value", f"{error}."))
            continue
        yield _row(reader.line_num, fields)


def _row(line: int, fields: dict[str, str]) -> FileRow:
    try:
        if None in fields or None in fields.values():
            raise refusal("invalid_value", f"The row has not {len(COLUMNS)} fields.")
        return FileRow(line, command=_command({k: v.strip() for k, v in fields.items()}))
    except PbxError as error:
        return FileRow(line, error=error)


def _command(f: dict[str, str]) -> StockBlock:
    first, count = _numbers(f)
    place, terms = _place(f), _terms(f)
    return StockBlock(
        block_id=first, count=count, offer_id=offer_id(place, terms), place=place, terms=terms
    )


def _numbers(f: dict[str, str]) -> tuple[str, int]:
    first = phone.parse_e164(f["first_number"], None, "first_number")
    count = _whole(f, "count", 1, MOST_NUMBERS)
    last = phone.plus(first, count - 1)
    if len(last) != len(first):
        raise refusal("invalid_value", "The block runs over the end of its range.", param="count")
    for number in (first, last):
        _check_number(number, f)
    return first, count


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
        raise refusal("invalid_value", f"{name} is a whole number from {low} to {high}.", param=name)
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

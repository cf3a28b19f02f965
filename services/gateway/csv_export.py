"""Lists as CSV (RFC 4180) that no spreadsheet takes for formulas.

A cell that begins with ``= + - @``, a tab or a line break gets an apostrophe in front (OWASP, CSV
injection). Numbers in E.164 begin with a plus too: a plus and digits alone compute nothing, so they
are left as they are, and the file can be read back by programs.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
_E164 = re.compile(r"\+[0-9]{1,15}")
COLUMNS = (
    "number",
    "num_id",
    "status",
    "country",
    "type",
    "city",
    "labels",
    "description",
    "sms",
    "origin",
    "monthly_cost",
    "currency",
    "paid_until",
)


def text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows of /numbers with a header line."""
    return "".join(lines(rows))


def lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The same, line by line."""
    yield _line(COLUMNS)
    for row in rows:
        flat = _flat(row)
        yield _line([safe(flat.get(name)) for name in COLUMNS])


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def safe(found: Any) -> str:
    """One cell."""
    cell = "" if found is None else str(found)
    if cell.startswith(_DANGEROUS) and not _E164.fullmatch(cell):
        return "'" + cell
    return cell


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    cost = row["monthly_cost"]
    return {
        **row,
        "labels": "; ".join(row["labels"]),
        "sms": "true" if row["sms"] else "false",
        "monthly_cost": cost["amount"],
        "currency": cost["currency"],
    }

"""Cursors and page sizes. A cursor is opaque to callers: the sort key of a page's last row."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from shared.refusals import refusal

_MOST_ROWS = 100
_LONGEST_CURSOR = 4000
_LONGEST_NUMBER = 15  # E.164.


def check_limit(limit: int) -> None:
    """Raises ``invalid_value`` for a page of less than 1 or more than 100 rows."""
    if not 1 <= limit <= _MOST_ROWS:
        raise refusal("invalid_value", f"limit is from 1 to {_MOST_ROWS}.", param="limit")


def cursor_of(key: Sequence[str]) -> str:
    """The cursor for a sort key of texts."""
    return (
        base64.urlsafe_b64encode(json.dumps(key, ensure_ascii=False).encode()).decode().rstrip("=")
    )


def key_after(cursor: str | None, parts: int) -> tuple[str, ...] | None:
    """The sort key a cursor stands for. Raises ``invalid_cursor`` for anything not made by us."""
    if cursor is None:
        return None
    found = _decoded(cursor)
    if not isinstance(found, list) or len(found) != parts:
        raise refusal("invalid_cursor", param="cursor")
    return tuple(_text(part) for part in found)


def _decoded(cursor: str) -> object:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor[:_LONGEST_CURSOR] + "=="))
    except (ValueError, RecursionError):
        raise refusal("invalid_cursor", param="cursor") from None


def _text(part: object) -> str:
    # Half of a surrogate pair is text for Python and not for a database.
    if not isinstance(part, str) or part.encode(errors="replace").decode() != part:
        raise refusal("invalid_cursor", param="cursor")
    return part


def number_after(cursor: str | None) -> int:
    """The number a page begins behind; 0 for the first page. Raises ``invalid_cursor``."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST_NUMBER):
        raise refusal("invalid_cursor", param="cursor")
    return int(cursor)

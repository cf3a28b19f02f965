"""Pages of lists that are sorted by a log position, newest first. Cursors are opaque."""

from __future__ import annotations

import base64
from typing import Any

from sqlalchemy import Column, Connection, Select

from shared.refusals import refusal

_MOST = 100


def check_limit(limit: int) -> int:
    """1 to 100 rows (contract section 1). Raises ``invalid_value``."""
    if not 1 <= limit <= _MOST:
        raise refusal("invalid_value", f"limit is from 1 to {_MOST}.", param="limit")
    return limit


def newest_first(
    connection: Connection, query: Select[Any], by: Column[int], limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows behind a cursor, and the cursor of the next page, if there is one."""
    wanted = query.order_by(by.desc()).limit(check_limit(limit) + 1)
    if after is not None:
        wanted = wanted.where(by < _place(after))
    found = [dict(row) for row in connection.execute(wanted).mappings()]
    page = found[:limit]
    return page, _cursor(page[-1][by.name]) if len(found) > limit else None


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        place = int(text) if text.isdigit() else -1
    except ValueError:
        place = -1
    if not 0 <= place < 2**63:
        raise refusal("invalid_cursor", param="cursor")
    return place

"""Until when something waits for its next try: by the machine's clock, which may be put right.

What a clock wrote that was an hour ahead would else wait for that hour. Nothing of ours waits for
longer than ``FARTHEST``, so an instant that is farther away was written by such a clock, and counts
as over. To try too early is harmless: every try is safe to repeat.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Column, ColumnElement, or_

FARTHEST = timedelta(minutes=15)


def is_over(
    column: Column[Any], now: datetime | BindParameter[datetime], far: Any
) -> ColumnElement[bool]:
    """Whether the instant in a column has passed; ``far`` is ``now`` and ``FARTHEST`` later."""
    return or_(column <= now, column > far)

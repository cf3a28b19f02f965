"""Until when a number is paid, and how long it has to be kept. Calendar days of the account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from shared.days import day_in, last_day


@dataclass(frozen=True, slots=True)
class Periods:
    """Billing begins on ``start``. ``paid_until`` is the last paid day, ``None`` where there is no
    monthly fee; ``min_ends`` is the last day of the minimum period."""

    start: date
    paid_until: date | None
    min_ends: date


def first_periods(begun: datetime, zone: str, monthly_fee: int, min_months: int) -> Periods:
    """Of a number that begins at an instant, its first month being paid with it.

    A period ends on the day before its anniversary. Anniversaries are clamped to the month's end
    and count from the start, so a number of 31 January is paid until 27 February, then until 30
    March.
    """
    start = day_in(zone, begun)
    paid_until = last_day(start, 1) if monthly_fee else None
    return Periods(start, paid_until, last_day(start, max(min_months, 1)))

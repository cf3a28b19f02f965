"""Calendar days: which one an instant falls on in a time zone, and the same day of later months."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


def day_in(zone: str, at: datetime) -> date:
    """The day it is at that instant in a time zone (IANA)."""
    return at.astimezone(ZoneInfo(zone)).date()


def months_later(day: date, months: int) -> date:
    """The same day of a later month, clamped to the month's end (31 Jan → 28 Feb)."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def last_day(start: date, months: int) -> date:
    """The last day of so many months that begin on a day: the one before the anniversary."""
    return months_later(start, months) - timedelta(days=1)

"""Until when a number is paid, in the calendar of the account."""

from datetime import UTC, date, datetime

import pytest

from services.orders.domain.periods import first_periods

FEE = 1_260_000


def paid_until(begun, zone="UTC", fee=FEE):
    return first_periods(begun, zone, fee, 1).paid_until


@pytest.mark.parametrize(
    ("begun", "last_day"),
    [
        ((2026, 1, 15), date(2026, 2, 14)),
        ((2026, 1, 31), date(2026, 2, 27)),  # The next period begins on 28 February.
        ((2028, 1, 31), date(2028, 2, 28)),  # A leap year: it begins on the 29th.
        ((2026, 2, 28), date(2026, 3, 27)),
        ((2026, 3, 31), date(2026, 4, 29)),
        ((2026, 12, 31), date(2027, 1, 30)),
        ((2026, 12, 1), date(2026, 12, 31)),
        ((2028, 2, 29), date(2028, 3, 28)),
    ],
)
def test_the_first_month_ends_on_the_day_before_its_anniversary(begun, last_day):
    assert paid_until(datetime(*begun, 12, tzinfo=UTC)) == last_day


@pytest.mark.parametrize(
    ("zone", "last_day"),
    [
        ("UTC", date(2026, 2, 27)),  # Bought on 31 January,
        ("Asia/Tokyo", date(2026, 2, 28)),  # there on 1 February,
        ("America/Los_Angeles", date(2026, 2, 27)),
        ("Pacific/Kiritimati", date(2026, 2, 28)),
    ],
)
def test_the_day_is_that_of_the_account_s_time_zone(zone, last_day):
    assert paid_until(datetime(2026, 1, 31, 23, 30, tzinfo=UTC), zone) == last_day


def test_a_number_without_a_monthly_fee_is_paid_until_no_day():
    periods = first_periods(datetime(2026, 1, 31, tzinfo=UTC), "UTC", 0, 1)

    assert periods.paid_until is None
    assert periods.start == date(2026, 1, 31)


@pytest.mark.parametrize(
    ("months", "ends"),
    [(1, date(2026, 2, 27)), (3, date(2026, 4, 29)), (12, date(2027, 1, 30))],
)
def test_the_minimum_period_ends_on_the_day_before_its_anniversary(months, ends):
    periods = first_periods(datetime(2026, 1, 31, tzinfo=UTC), "UTC", FEE, months)

    assert periods.min_ends == ends

"""Amounts, times and numbers are written as the account's country writes them."""

from datetime import UTC, date, datetime

import pytest

from services.gateway.pages.formats import Formats, formats_for
from shared.days import months_later

NEW_YORK = formats_for({"country": "US", "time_zone": "America/New_York"})
BERLIN = formats_for({"country": "DE", "time_zone": "Europe/Berlin"})


def usd(amount):
    return {"amount": amount, "currency": "USD"}


@pytest.mark.parametrize(
    ("amount", "written"),
    [("1.26", "$1.26"), ("0.0085", "$0.0085"), ("1234.50", "$1,234.50"), ("0.00", "$0.00")],
)
def test_an_amount_keeps_all_its_decimals(amount, written):
    assert NEW_YORK.money(usd(amount)) == written


def test_an_amount_that_is_not_known_yet_is_a_dash():
    assert NEW_YORK.money(None) == "\N{EN DASH}"


def test_the_account_s_country_decides_the_separators():
    assert BERLIN.money({"amount": "1234.50", "currency": "EUR"}) == "1.234,50\N{NO-BREAK SPACE}€"


def test_a_time_is_told_in_the_account_s_zone_which_is_named():
    assert NEW_YORK.moment("2026-03-01T02:30:00Z") == "28 Feb 2026, 21:30 EST"
    assert BERLIN.moment(datetime(2026, 7, 1, 10, 0, tzinfo=UTC)) == "1 Jul 2026, 12:00 CEST"


def test_today_is_the_day_in_the_account_s_zone():
    assert NEW_YORK.today(datetime(2026, 3, 1, 2, 30, tzinfo=UTC)) == date(2026, 2, 28)


def test_an_unknown_country_is_written_in_plain_english():
    assert formats_for({"country": "ZZ", "time_zone": "UTC"}).money(usd("1.00")) == "$1.00"
    assert formats_for(None) == Formats()


def offer(prefix, area_code, country, kind="geographic"):
    return {"prefix": prefix, "area_code": area_code, "country": country, "type": kind}


@pytest.mark.parametrize(
    ("row", "written"),
    [
        (offer("+1212", "212", "US"), "+1 (212) XXX-XX-XX"),
        (offer("+1800", "800", "US", "toll_free"), "+1 (800) XXX-XX-XX"),
        (offer("+612", "2", "AU"), "+61 2 XXXX XXXX"),
        (offer("+611300", "1300", "AU", "national"), "+61 1300 XXX XXX"),
        (offer("+4420", "20", "GB"), "+44 20 XXXX XXXX"),
        (offer("+331", "1", "FR"), "+33 1 XXXX XXXX"),
    ],
)
def test_a_prefix_shows_how_many_digits_follow(row, written):
    assert Formats().prefix(row) == written


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 11, 23), 3, date(2027, 2, 23)),
        (date(2026, 12, 1), 12, date(2027, 12, 1)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
    ],
)
def test_months_are_clamped_to_the_month_s_end(day, months, later):
    assert months_later(day, months) == later


def test_a_card_is_named_by_brand_and_last_digits():
    card = {"brand": "visa", "last4": "4242", "exp_month": 7, "exp_year": 2031}

    assert Formats().card(card) == "Visa ending in 4242"
    assert Formats().expiry(card) == "07/2031"

"""The stock file: good rows become blocks, bad ones are named by line and reason."""

from pathlib import Path

import pytest

from services.inventory import stock_file
from services.inventory.messages import Place, Terms
from services.inventory.stock_file import COLUMNS
from shared.errors import Unprocessable

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    "country": "US",
    "region": "NY",
    "city": "New York",
    "area_code": "212",
    "type": "geographic",
    "first_number": "+12125550100",
    "count": "100",
    "sms": "true",
    "setup_fee": "0.50",
    "monthly_fee": "1.26",
    "min_period_months": "1",
    "per_minute": "0.0085",
    "connect_fee": "0",
    "currency": "USD",
    "billing_increments": "60/1",
}
HEADER = ",".join(COLUMNS)


def line(**more):
    fields = {name: more.get(name, GOOD[name]) for name in COLUMNS}
    return ",".join(fields.values())


def file(*lines):
    return "\n".join((HEADER, *lines)) + "\n"


def only(text):
    (row,) = stock_file.read(text)
    return row


def test_a_good_row_is_a_block():
    command = only(file(line())).command

    assert (command.block_id, command.count) == ("+12125550100", 100)
    assert command.place == Place(
        country="US", region="NY", city="New York", area_code="212", type="geographic"
    )
    assert command.terms == Terms(
        currency="USD",
        setup_fee=500_000,
        monthly_fee=1_260_000,
        per_minute=8_500,
        connect_fee=0,
        min_period_months=1,
        billing_increments="60/1",
        sms=True,
    )
    assert command.offer_id.startswith("off_")


def test_the_projects_own_stock_is_good_throughout():
    rows = stock_file.read((ROOT / "deploy/data/stock.csv").read_text())

    assert len(rows) == 1140
    assert [row.error for row in rows if row.error] == []
    assert sum(row.command.count for row in rows) == 114_000
    assert [row.line for row in rows] == list(range(2, 1142))


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"country": "CA"}, "country_mismatch", "country"),
        ({"country": "XX"}, "country_mismatch", "country"),
        ({"country": "us"}, "country_mismatch", "country"),
        ({"country": ""}, "country_mismatch", "country"),
        ({"type": "mobile", "first_number": "+442079460100"}, "country_mismatch", "country"),
        ({"type": "toll_free"}, "type_mismatch", "type"),
        ({"type": "satellite"}, "invalid_value", "type"),
        ({"area_code": "213"}, "area_code_mismatch", "area_code"),
        ({"area_code": ""}, "area_code_mismatch", "area_code"),
        ({"area_code": "2-1-2"}, "area_code_mismatch", "area_code"),
        ({"first_number": "2125550100"}, "number_invalid", "first_number"),
        ({"first_number": ""}, "number_invalid", "first_number"),
        ({"first_number": "+1212"}, "number_invalid", "first_number"),
        ({"first_number": "+1212FLOWERS"}, "number_invalid", "first_number"),
        ({"first_number": "+12125550100 ext. 5"}, "number_invalid", "first_number"),
        ({"count": "0"}, "invalid_value", "count"),
        ({"count": "10001"}, "invalid_value", "count"),
        ({"count": "-1"}, "invalid_value", "count"),
        ({"count": "1e3"}, "invalid_value", "count"),
        ({"count": "٣"}, "invalid_value", "count"),
        ({"count": "9" * 5000}, "invalid_value", "count"),
        ({"sms": "TRUE"}, "invalid_value", "sms"),
        ({"sms": "1"}, "invalid_value", "sms"),
        ({"sms": ""}, "invalid_value", "sms"),
        ({"setup_fee": "-1"}, "invalid_value", "setup_fee"),
        ({"monthly_fee": "1.2345678"}, "invalid_value", "monthly_fee"),
        ({"monthly_fee": "1e2"}, "invalid_value", "monthly_fee"),
        ({"per_minute": "free"}, "invalid_value", "per_minute"),
        ({"connect_fee": ""}, "invalid_value", "connect_fee"),
        ({"min_period_months": "0"}, "invalid_value", "min_period_months"),
        ({"min_period_months": "121"}, "invalid_value", "min_period_months"),
        ({"currency": "usd"}, "invalid_value", "currency"),
        ({"currency": "XYZ"}, "invalid_value", "currency"),
        ({"billing_increments": "60"}, "invalid_value", "billing_increments"),
        ({"billing_increments": "0/1"}, "invalid_value", "billing_increments"),
        ({"billing_increments": "6٣/1"}, "invalid_value", "billing_increments"),
        ({"city": "x" * 201}, "invalid_value", "city"),
        ({"city": "New\x00York"}, "invalid_value", "city"),
        ({"city": "New\x1bYork"}, "invalid_value", "city"),
    ],
)
def test_a_bad_row_is_named_and_the_good_ones_around_it_are_read(more, code, param):
    before, bad, after = stock_file.read(file(line(), line(**more), line()))

    assert (bad.line, bad.command) == (3, None)
    assert (bad.error.code, bad.error.param) == (code, param)
    assert bad.error.detail
    assert before.command == after.command
    assert before.command is not None


@pytest.mark.parametrize("count", ["1", "10000"])
def test_a_block_has_1_to_10000_numbers(count):
    row = only(file(line(first_number="+12125550000", count=count)))

    assert row.command.count == int(count)


def test_a_block_may_begin_at_any_number():
    assert only(file(line(first_number="+12125550137", count="77"))).command.count == 77


def test_the_last_number_of_a_block_must_fit_too():
    row = only(file(line(first_number="+12129999950", count="100")))

    assert row.error.code in {"country_mismatch", "type_mismatch", "area_code_mismatch"}


@pytest.mark.parametrize("bad", [line() + ",more", line().rsplit(",", 1)[0], "x", '"'])
def test_a_row_with_another_number_of_fields_is_bad(bad):
    rows = stock_file.read(file(line(), bad))

    assert [row.error and row.error.code for row in rows] == [None, "invalid_value"]
    assert rows[1].line == 3


def test_broken_quotes_spoil_their_own_row_only():
    rows = stock_file.read(file(line(), line(city='"New" York'), line()))

    assert [(row.line, bool(row.error)) for row in rows] == [(2, False), (3, True), (4, False)]


def test_a_quote_that_is_never_closed_is_named_by_the_line_it_begins_on():
    rows = stock_file.read(file(line(), line(city='"New York'), line(), line()))

    assert [(row.line, bool(row.error)) for row in rows] == [(2, False), (3, True)]


def test_every_row_has_a_line_of_its_own():
    bad = line(city='"New" York')

    rows = stock_file.read(file(bad, bad, "", line(), '"', line()))

    assert len({row.line for row in rows}) == len(rows)


def test_a_field_larger_than_any_is_a_bad_row():
    rows = stock_file.read(file(line(city="x" * 140_000), line()))

    assert [bool(row.error) for row in rows] == [True, False]


def test_quoted_fields_blank_lines_spaces_and_other_line_ends_are_fine():
    text = file(line(city='"Washington, D.C."'), "", line(city="  New York ")).replace("\n", "\r\n")

    rows = stock_file.read("\ufeff" + text)

    assert [(row.line, row.command.place.city) for row in rows] == [
        (2, "Washington, D.C."),
        (4, "New York"),
    ]
    assert stock_file.read(text.replace("\r\n", "\r"))[0].command == rows[0].command


def test_the_order_of_the_columns_is_free():
    names = sorted(COLUMNS)
    text = ",".join(names) + "\n" + ",".join(GOOD[name] for name in names)

    assert only(text).command == only(file(line())).command


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n", HEADER, HEADER + "\n\n"])
def test_a_file_without_rows_is_refused(text):
    for read in (stock_file.read, stock_file.count):
        with pytest.raises(Unprocessable, match="csv_empty"):
            read(text)


@pytest.mark.parametrize(
    "header",
    [
        "country",
        HEADER + ",colour",
        HEADER.replace("city", "town"),
        HEADER + ",city",
        HEADER.upper(),
        "\x00",
        '"' + HEADER,
        HEADER.replace(",", ";"),
        "x" * 200_000,
        ",".join(f"c{n}" for n in range(50_000)),
    ],
)
def test_other_columns_are_refused(header):
    for read in (stock_file.read, stock_file.count):
        with pytest.raises(Unprocessable, match="csv_header_wrong") as caught:
            read(header + "\n" + line())
        assert len(caught.value.detail) < 800


def test_rows_are_counted_without_judging_them():
    assert stock_file.count(file(line(), "bad", "", line(count="0"))) == 3

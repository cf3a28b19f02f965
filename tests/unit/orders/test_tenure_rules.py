"""The rules of a tenure: an account's time with a number."""

from __future__ import annotations

from dataclasses import replace

from services.orders.domain.tenure import AGGREGATE
from services.orders.messages import BeginTenure, DescribeNumber, NumberDescribed, NumberPurchased
from tests.unit.orders.teller import purchased
from tests.unit.spec import given

PURCHASED: NumberPurchased = purchased(1)
BEGIN = BeginTenure(**{n: getattr(PURCHASED, n) for n in PURCHASED.__dataclass_fields__})
DESCRIBE = DescribeNumber(num_id="num_1", account_id="acct_1", description="Front desk ☎\nÉcole")
DESCRIBED = NumberDescribed(
    num_id="num_1",
    number=PURCHASED.number,
    account_id="acct_1",
    description="Front desk ☎\nÉcole",
)


def test_a_tenure_begins_with_the_terms_agreed() -> None:
    given(AGGREGATE).when(BEGIN).then(PURCHASED)


def test_a_tenure_begins_once() -> None:
    given(AGGREGATE, PURCHASED).when(BEGIN).then()


def test_a_description_is_kept_as_written() -> None:
    given(AGGREGATE, PURCHASED).when(DESCRIBE).then(DESCRIBED)


def test_the_same_description_is_not_recorded_again() -> None:
    given(AGGREGATE, PURCHASED, DESCRIBED).when(DESCRIBE).then()


def test_a_description_can_be_taken_away() -> None:
    empty = replace(DESCRIBE, description="")

    given(AGGREGATE, PURCHASED, DESCRIBED).when(empty).then(replace(DESCRIBED, description=""))


def test_a_description_has_at_most_1000_characters() -> None:
    longest, longer = "x" * 1000, "x" * 1001

    given(AGGREGATE, PURCHASED).when(replace(DESCRIBE, description=longest)).then(
        replace(DESCRIBED, description=longest)
    )
    given(AGGREGATE, PURCHASED).when(replace(DESCRIBE, description=longer)).refused(
        "invalid_value", param="description"
    )


def test_another_accounts_number_is_unknown() -> None:
    given(AGGREGATE, PURCHASED).when(replace(DESCRIBE, account_id="acct_2")).refused(
        "number_unknown"
    )


def test_a_tenure_that_never_began_is_unknown() -> None:
    given(AGGREGATE).when(DESCRIBE).refused("number_unknown")


def test_an_edit_of_the_version_that_was_read_is_taken() -> None:
    given(AGGREGATE, PURCHASED).when(replace(DESCRIBE, if_version=1)).then(DESCRIBED)


def test_an_edit_of_an_older_version_is_refused() -> None:
    given(AGGREGATE, PURCHASED, DESCRIBED).when(replace(DESCRIBE, if_version=1)).refused(
        "edited_meanwhile"
    )

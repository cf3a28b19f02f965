"""One number: available → held → allocated → quarantined → available."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.inventory.domain.stock import AGGREGATE, Stock
from services.inventory.messages import (
    AllocateNumber,
    HoldNumber,
    NumberAllocated,
    NumberHeld,
    NumberQuarantined,
    NumberReleased,
    NumberReturnedToStock,
    QuarantineNumber,
    ReleaseNumber,
    ReturnNumber,
)
from tests.unit.inventory.stock_facts import ACCOUNT, AT, BLOCK, N1, OFFER, ORDER, QUOTE, TERMS
from tests.unit.spec import given

HOLD = HoldNumber(
    number=N1, block_id=BLOCK, offer_id=OFFER, terms=TERMS, hold_id=QUOTE, account_id=ACCOUNT
)
HELD = NumberHeld(number=N1, block_id=BLOCK, offer_id=OFFER, hold_id=QUOTE, account_id=ACCOUNT)
RELEASE = ReleaseNumber(number=N1, hold_id=QUOTE)
RELEASED = NumberReleased(number=N1, hold_id=QUOTE)
TENURE = {"number": N1, "num_id": "num_1", "order_id": ORDER, "hold_id": QUOTE}
ALLOCATE, ALLOCATED = (
    AllocateNumber(**TENURE, account_id=ACCOUNT),
    NumberAllocated(**TENURE, account_id=ACCOUNT),
)
REST = AT + timedelta(days=45)
QUARANTINE = QuarantineNumber(number=N1, num_id="num_1", until=REST)
QUARANTINED = NumberQuarantined(number=N1, num_id="num_1", until=REST)
RETURNED = NumberReturnedToStock(number=N1)
RESTING = (HELD, ALLOCATED, QUARANTINED)


@pytest.mark.parametrize("before", [(), (HELD, RELEASED), (*RESTING, RETURNED)])
def test_an_available_number_can_be_held(before):
    given(AGGREGATE, *before).when(HOLD).then(HELD)


def test_for_the_hold_that_has_it_nothing_is_new():
    given(AGGREGATE, HELD).when(HOLD).then()


@pytest.mark.parametrize("before", [(HELD,), (HELD, ALLOCATED), RESTING])
def test_a_number_that_is_not_available_is_refused_to_another_hold(before):
    given(AGGREGATE, *before).when(replace(HOLD, hold_id="qt_2")).refused("number_gone")


@pytest.mark.parametrize("before", [(HELD, ALLOCATED), RESTING])
def test_a_hold_cannot_have_again_what_was_allocated(before):
    given(AGGREGATE, *before).when(HOLD).refused("number_gone")


@pytest.mark.parametrize("missing", ["block_id", "offer_id"])
def test_a_number_is_held_at_the_terms_of_its_block_only(missing):
    given(AGGREGATE).when(replace(HOLD, **{missing: ""})).refused("offer_changed")


def test_only_the_hold_that_has_a_number_gives_it_back():
    given(AGGREGATE, HELD).when(RELEASE).then(RELEASED)
    given(AGGREGATE, HELD).when(replace(RELEASE, hold_id="qt_2")).then()


@pytest.mark.parametrize("before", [(), (HELD, RELEASED), (HELD, ALLOCATED), RESTING])
def test_a_number_that_is_not_held_is_not_released(before):
    given(AGGREGATE, *before).when(RELEASE).then()


def test_a_held_number_is_allocated_once():
    given(AGGREGATE, HELD).when(ALLOCATE).then(ALLOCATED)
    given(AGGREGATE, HELD, ALLOCATED).when(ALLOCATE).then()


@pytest.mark.parametrize("before", [(), (HELD, RELEASED), (HELD, ALLOCATED), RESTING])
def test_another_tenure_cannot_begin_without_a_hold(before):
    given(AGGREGATE, *before).when(replace(ALLOCATE, num_id="num_2")).refused("number_gone")


def test_a_number_is_not_allocated_to_a_hold_that_has_it_not():
    given(AGGREGATE, HELD).when(replace(ALLOCATE, hold_id="qt_2")).refused("number_gone")


def test_the_end_of_its_tenure_lets_a_number_rest():
    given(AGGREGATE, HELD, ALLOCATED).when(QUARANTINE).then(QUARANTINED)
    given(AGGREGATE, *RESTING).when(QUARANTINE).then()
    given(AGGREGATE, HELD, ALLOCATED).when(replace(QUARANTINE, num_id="num_2")).then()


def test_a_number_comes_back_after_its_rest_and_not_before():
    early = ReturnNumber(number=N1, now=REST - timedelta(microseconds=1))

    given(AGGREGATE, *RESTING).when(early).then()
    given(AGGREGATE, *RESTING).when(replace(early, now=REST)).then(RETURNED)
    given(AGGREGATE, *RESTING, RETURNED).when(replace(early, now=REST)).then()
    assert AGGREGATE.fold(Stock(), [*RESTING, RETURNED]) == Stock()


@pytest.mark.parametrize("before", [(), (HELD,), (HELD, ALLOCATED)])
def test_what_does_not_rest_does_not_come_back(before):
    given(AGGREGATE, *before).when(ReturnNumber(number=N1, now=REST)).then()

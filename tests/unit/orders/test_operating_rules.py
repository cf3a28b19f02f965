"""What staff may do with an order that waits for a person."""

from __future__ import annotations

from typing import Any

import pytest

from services.orders.domain.order import AGGREGATE
from services.orders.messages import (
    FailOrder,
    GiveUpOrder,
    OrderChargeCheckRequested,
    OrderFailed,
    OrderGivenUp,
    OrderNeedsOperator,
    RecordPaid,
    RequestChargeCheck,
)
from shared.refusals import refusal
from tests.unit.orders import facts as f
from tests.unit.spec import given

WHY = "The bank says on the phone that nothing was taken."
CHECK = RequestChargeCheck(order_id=f.ORDER, reason=f" {WHY} ")
GIVE_UP = GiveUpOrder(order_id=f.ORDER, reason=WHY)
CALLED = OrderNeedsOperator(order_id=f.ORDER, account_id=f.ACCOUNT, reason="no_charge")
CHECKED = OrderChargeCheckRequested(order_id=f.ORDER, account_id=f.ACCOUNT, reason=WHY)
GIVEN_UP = OrderGivenUp(order_id=f.ORDER, account_id=f.ACCOUNT, reason=WHY)
ENDED = OrderFailed(
    order_id=f.ORDER,
    account_id=f.ACCOUNT,
    hold_id=f.QUOTE,
    code="ended_by_staff",
    detail=refusal("ended_by_staff").detail,
)
UNKNOWN = (f.PLACED, f.RESERVED, f.CHARGE_UNKNOWN, CALLED)
UNPAID: dict[str, tuple[Any, ...]] = {
    "placed": (f.PLACED, CALLED),
    "reserved": (f.PLACED, f.RESERVED, CALLED),
    "charge_unknown": UNKNOWN,
}
both = pytest.mark.parametrize("command", [CHECK, GIVE_UP])


@both
def test_an_order_that_is_not_there(command: Any) -> None:
    given(AGGREGATE).when(command).refused("order_unknown")


@both
@pytest.mark.parametrize(
    "history",
    [
        (f.PLACED, f.RESERVED),
        f.DONE,
        (f.PLACED, f.RESERVED, f.FAILED),
        (*UNKNOWN, f.ACTION_REQUIRED),
    ],
)
def test_an_order_that_waits_for_nobody_is_left_alone(
    command: Any, history: tuple[Any, ...]
) -> None:
    given(AGGREGATE, *history).when(command).refused("order_not_with_operator")


@both
@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 501])
def test_a_reason_is_needed(command: Any, reason: str) -> None:
    wanted = type(command)(order_id=f.ORDER, reason=reason)

    given(AGGREGATE, *UNKNOWN).when(wanted).refused("missing_field")


def test_the_charge_is_looked_up_as_often_as_staff_wants() -> None:
    given(AGGREGATE, *UNKNOWN).when(CHECK).then(CHECKED)
    given(AGGREGATE, *UNKNOWN, CHECKED).when(CHECK).then(CHECKED)


def test_also_of_an_order_that_is_paid_and_waits_for_its_numbers() -> None:
    given(AGGREGATE, *f.CHARGED, CALLED).when(CHECK).then(CHECKED)


def test_before_the_numbers_are_reserved_there_is_no_charge_to_look_up() -> None:
    given(AGGREGATE, f.PLACED, CALLED).when(CHECK).refused("charge_unknown")


@pytest.mark.parametrize("history", UNPAID.values(), ids=UNPAID)
def test_an_order_that_is_not_paid_can_be_ended(history: tuple[Any, ...]) -> None:
    given(AGGREGATE, *history).when(GIVE_UP).then(GIVEN_UP, ENDED)


def test_a_paid_order_is_not_ended_because_its_money_is_taken() -> None:
    given(AGGREGATE, *f.CHARGED, CALLED).when(GIVE_UP).refused("order_paid")


def test_money_that_comes_after_the_end_goes_back() -> None:
    late = RecordPaid(order_id=f.ORDER, charge_id=f.CHARGE, amount=f.TOTAL, refund_id="ref_late")

    given(AGGREGATE, *UNKNOWN, GIVEN_UP, ENDED).when(late).then(
        f.refund_requested("ref_late", f.TOTAL, (), "order_failed")
    )


def test_an_ended_order_ends_once() -> None:
    history = (*UNKNOWN, GIVEN_UP, ENDED)

    given(AGGREGATE, *history).when(GIVE_UP).refused("order_not_with_operator")
    given(AGGREGATE, *history).when(FailOrder(order_id=f.ORDER, code="x", detail="")).then()


def test_a_look_at_the_charge_does_not_end_the_wait() -> None:
    given(AGGREGATE, *UNKNOWN, CHECKED).when(GIVE_UP).then(GIVEN_UP, ENDED)

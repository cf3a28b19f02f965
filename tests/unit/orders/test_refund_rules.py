"""The rules of returning money: never more than was charged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.orders.domain.order import AGGREGATE
from services.orders.messages import (
    OrderRefunded,
    OrderRefundFailed,
    RecordRefunded,
    RecordRefundFailed,
    RequestRefund,
)
from shared.money import Money
from tests.unit.orders import facts as f
from tests.unit.spec import given

ALL_LEFT = RequestRefund(
    order_id=f.ORDER, refund_id="ref_1", amount=None, numbers=(), reason="goodwill"
)
RETURNED = OrderRefunded(
    order_id=f.ORDER, account_id=f.ACCOUNT, refund_id="ref_1", amount=f.NY_COST
)
RETURN = RecordRefunded(order_id=f.ORDER, refund_id="ref_1", amount=f.NY_COST)
REFUSE = RecordRefundFailed(
    order_id=f.ORDER, refund_id="ref_1", code="payment_failed", detail="Charge is disputed."
)
NOT_RETURNED = OrderRefundFailed(
    order_id=f.ORDER,
    account_id=f.ACCOUNT,
    refund_id="ref_1",
    code="payment_failed",
    detail="Charge is disputed.",
)


def part(micros: int, currency: str = "USD", refund_id: str = "ref_1") -> RequestRefund:
    return replace(ALL_LEFT, amount=Money(micros, currency), refund_id=refund_id)


class TestAsking:
    def test_without_a_wish_all_of_the_charge_goes_back(self) -> None:
        given(AGGREGATE, *f.DONE).when(ALL_LEFT).then(
            f.refund_requested("ref_1", f.TOTAL, reason="goodwill")
        )

    def test_all_means_all_that_is_left(self) -> None:
        before = f.refund_requested("ref_0", Money(10_000, "USD"))

        given(AGGREGATE, *f.DONE, before).when(ALL_LEFT).then(
            f.refund_requested("ref_1", f.TOTAL - before.amount, reason="goodwill")
        )

    def test_an_amount_goes_back(self) -> None:
        given(AGGREGATE, *f.DONE).when(part(1)).then(
            f.refund_requested("ref_1", Money(1, "USD"), reason="goodwill")
        )

    def test_numbers_go_back_at_what_they_cost(self) -> None:
        wanted = replace(ALL_LEFT, numbers=(f.NY_2,))

        given(AGGREGATE, *f.DONE).when(wanted).then(
            f.refund_requested("ref_1", f.NY_COST, (f.NY_2,), "goodwill")
        )

    def test_a_refund_is_asked_for_once(self) -> None:
        given(AGGREGATE, *f.DONE, f.refund_requested("ref_1")).when(ALL_LEFT).then()

    def test_more_than_the_charge_is_refused(self) -> None:
        wanted = part(f.TOTAL.micros + 1)

        given(AGGREGATE, *f.DONE).when(wanted).refused("refund_too_large", param="amount")

    def test_two_refunds_never_exceed_the_charge(self) -> None:
        first = f.refund_requested("ref_0", f.TOTAL - Money(10_000, "USD"))

        given(AGGREGATE, *f.DONE, first).when(part(10_001)).refused("refund_too_large")
        given(AGGREGATE, *f.DONE, first).when(part(10_000)).then(
            f.refund_requested("ref_1", Money(10_000, "USD"), reason="goodwill")
        )

    def test_when_all_is_on_its_way_nothing_is_left_to_refund(self) -> None:
        whole = f.refund_requested("ref_0", f.TOTAL)

        given(AGGREGATE, *f.DONE, whole).when(ALL_LEFT).refused("order_not_refundable")

    def test_what_came_late_and_went_back_cannot_go_back_again(self) -> None:
        late = f.refund_requested("ref_0", f.TOTAL, reason="order_failed")
        history = (f.PLACED, f.RESERVED, f.FAILED, late)

        given(AGGREGATE, *history).when(ALL_LEFT).refused("order_not_refundable")

    @pytest.mark.parametrize(
        "history",
        [(f.PLACED,), (f.PLACED, f.RESERVED), (f.PLACED, f.RESERVED, f.FAILED)],
        ids=["placed", "reserved", "failed"],
    )
    def test_what_was_not_charged_cannot_go_back(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(ALL_LEFT).refused("order_not_refundable")

    def test_an_order_nobody_placed_is_unknown(self) -> None:
        given(AGGREGATE).when(ALL_LEFT).refused("order_unknown")

    def test_a_number_of_another_order_is_refused(self) -> None:
        wanted = replace(ALL_LEFT, numbers=("+12125550199",))

        given(AGGREGATE, *f.DONE).when(wanted).refused("number_unknown", param="numbers")

    def test_a_number_goes_back_once(self) -> None:
        before = f.refund_requested("ref_0", f.NY_COST, (f.NY_1,))
        wanted = replace(ALL_LEFT, numbers=(f.NY_2, f.NY_1))

        given(AGGREGATE, *f.DONE, before).when(wanted).refused("order_not_refundable")

    def test_a_number_is_named_once(self) -> None:
        wanted = replace(ALL_LEFT, numbers=(f.NY_1, f.NY_1))

        given(AGGREGATE, *f.DONE).when(wanted).refused("invalid_value", param="numbers")

    def test_amount_and_numbers_are_not_named_together(self) -> None:
        wanted = replace(part(1), numbers=(f.NY_1,))

        given(AGGREGATE, *f.DONE).when(wanted).refused("invalid_value", param="numbers")

    def test_nothing_is_no_refund(self) -> None:
        given(AGGREGATE, *f.DONE).when(part(0)).refused("invalid_value", param="amount")

    def test_another_currency_is_refused(self) -> None:
        given(AGGREGATE, *f.DONE).when(part(1, "EUR")).refused("mixed_currency", param="amount")


class TestTheProvidersAnswer:
    def test_the_money_is_on_its_way(self) -> None:
        given(AGGREGATE, *f.DONE, f.refund_requested()).when(RETURN).then(RETURNED)

    def test_it_is_said_once(self) -> None:
        given(AGGREGATE, *f.DONE, f.refund_requested(), RETURNED).when(RETURN).then()

    def test_a_refund_made_at_the_provider_counts(self) -> None:
        given(AGGREGATE, *f.DONE).when(RETURN).then(RETURNED)
        given(AGGREGATE, *f.DONE, RETURNED).when(part(f.TOTAL.micros, refund_id="ref_2")).refused(
            "refund_too_large"
        )

    def test_more_than_was_charged_cannot_come_back(self) -> None:
        other = replace(RETURN, refund_id="ref_2", amount=f.TOTAL)

        given(AGGREGATE, *f.DONE, RETURNED).when(other).refused("refund_too_large")

    @pytest.mark.parametrize("history", [(), (f.PLACED, f.RESERVED)], ids=["new", "reserved"])
    def test_what_was_not_charged_does_not_come_back(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(RETURN).then()

    def test_a_refused_refund_is_recorded_once(self) -> None:
        asked = (*f.DONE, f.refund_requested())

        given(AGGREGATE, *asked).when(REFUSE).then(NOT_RETURNED)
        given(AGGREGATE, *asked, NOT_RETURNED).when(REFUSE).then()
        given(AGGREGATE, *asked, RETURNED).when(REFUSE).then()
        given(AGGREGATE, *f.DONE).when(REFUSE).then()

    def test_after_a_refused_refund_the_money_can_be_asked_back_again(self) -> None:
        history = (*f.DONE, f.refund_requested("ref_1", f.NY_COST, (f.NY_1,)), NOT_RETURNED)
        again = replace(ALL_LEFT, refund_id="ref_2", numbers=(f.NY_1,))

        given(AGGREGATE, *history).when(again).then(
            f.refund_requested("ref_2", f.NY_COST, (f.NY_1,), "goodwill")
        )

    def test_a_refund_that_failed_and_was_returned_after_all_counts(self) -> None:
        history = (*f.DONE, f.refund_requested(), NOT_RETURNED)

        given(AGGREGATE, *history).when(RETURN).then(RETURNED)

"""The rules of an order, from being placed to its numbers or its failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.inventory.messages import HeldLine, Item, Missing
from services.orders.domain.order import AGGREGATE
from services.orders.messages import (
    ExpireAction,
    FailOrder,
    FulfilOrder,
    GiveToOperator,
    OrderConfirmationReported,
    OrderFailed,
    OrderNeedsOperator,
    RecordChargeUnknown,
    RecordPaid,
    ReportConfirmation,
    RequireAction,
    ReserveOrder,
)
from shared.money import Money
from shared.refusals import refusal
from tests.unit.orders import facts as f
from tests.unit.spec import given

PIN = ReserveOrder(order_id=f.ORDER, lines=f.LINES, missing=())
PAY = RecordPaid(order_id=f.ORDER, charge_id=f.CHARGE, amount=f.TOTAL, refund_id="ref_late")
DECLINE = FailOrder(order_id=f.ORDER, code=f.FAILED.code, detail=f.FAILED.detail)
ASK_CUSTOMER = RequireAction(order_id=f.ORDER, charge_id=f.CHARGE, expires_at=f.SOON)
LOSE_SIGHT = RecordChargeUnknown(order_id=f.ORDER, charge_id=f.CHARGE)
CONFIRM = ReportConfirmation(order_id=f.ORDER, account_id=f.ACCOUNT)
FULFIL = FulfilOrder(order_id=f.ORDER, numbers=f.NUMBERS, refused=(), refund_id="ref_gone")
NO_ANSWER = GiveToOperator(order_id=f.ORDER, waited_for="answer")
NO_CHARGE = GiveToOperator(order_id=f.ORDER, waited_for="charge")
WAITING: dict[str, tuple[Any, ...]] = {
    "reserved": (f.PLACED, f.RESERVED),
    "action_required": (f.PLACED, f.RESERVED, f.ACTION_REQUIRED),
    "charge_unknown": (f.PLACED, f.RESERVED, f.CHARGE_UNKNOWN),
}
SETTLED: dict[str, tuple[Any, ...]] = {
    "paid": f.CHARGED,
    "fulfilled": f.DONE,
    "failed": (f.PLACED, f.RESERVED, f.FAILED),
}
waiting = pytest.mark.parametrize("history", WAITING.values(), ids=WAITING)
settled = pytest.mark.parametrize("history", SETTLED.values(), ids=SETTLED)


def failed(code: str, detail: str = "") -> OrderFailed:
    return replace(f.FAILED, code=code, detail=detail or refusal(code).detail)


def needs_operator(reason: str) -> OrderNeedsOperator:
    return OrderNeedsOperator(order_id=f.ORDER, account_id=f.ACCOUNT, reason=reason)


class TestPlacing:
    def test_an_order_on_a_quote_is_placed(self) -> None:
        given(AGGREGATE).when(f.place_order()).then(f.PLACED)

    def test_an_order_on_items_has_a_hold_of_its_own_id(self) -> None:
        wanted = f.items_order(Item(offer_id="off_ny", quantity=10), Item(number=f.TO_1))

        given(AGGREGATE).when(wanted).then(f.order_placed(hold_id=f.ORDER, items=wanted.items))

    def test_an_order_is_placed_once(self) -> None:
        given(AGGREGATE, f.PLACED).when(f.place_order()).then()

    @pytest.mark.parametrize(
        "command",
        [
            f.items_order(),
            f.place_order(items=(Item(offer_id="off_ny"),)),
            f.items_order(Item()),
            f.items_order(Item(offer_id="off_ny", number=f.TO_1)),
            f.items_order(Item(number=f.TO_1), Item(number=f.TO_1)),
            f.items_order(Item(free_in="US")),
            f.items_order(Item(offer_id="off_ny"), kind="free"),
        ],
        ids=["none", "quote and items", "empty", "two wishes", "twice", "not free", "not for free"],
    )
    def test_what_cannot_be_understood_is_refused(self, command: Any) -> None:
        given(AGGREGATE).when(command).refused("items_invalid", param="items")

    @pytest.mark.parametrize("quantity", [-1, 0, 11])
    def test_a_quantity_is_from_1_to_10(self, quantity: int) -> None:
        wanted = f.items_order(Item(offer_id="off_ny", quantity=quantity))

        given(AGGREGATE).when(wanted).refused("quantity_invalid", param="items")

    def test_of_one_number_there_is_one(self) -> None:
        wanted = f.items_order(Item(number=f.TO_1, quantity=2))

        given(AGGREGATE).when(wanted).refused("quantity_invalid", param="items")

    @pytest.mark.parametrize(
        ("param", "value"), [("kind", "gift"), ("strategy", "greedy"), ("usage", "both")]
    )
    def test_words_that_are_not_known_are_refused(self, param: str, value: str) -> None:
        wanted = f.place_order(**{param: value})

        given(AGGREGATE).when(wanted).refused("invalid_value", param=param)


class TestReserving:
    def test_the_amount_is_set_up_and_first_month_of_every_number(self) -> None:
        given(AGGREGATE, f.PLACED).when(PIN).then(f.RESERVED)

    def test_what_could_not_be_had_is_kept(self) -> None:
        missing = (Missing(item=Item(number=f.TO_1), quantity=1, code="number_gone"),)
        pinned = replace(PIN, lines=(f.NY_LINE,), missing=missing)

        given(AGGREGATE, f.PLACED).when(pinned).then(
            replace(f.RESERVED, lines=(f.NY_LINE,), missing=missing, amount=f.NY_COST * 2)
        )

    def test_with_nothing_to_pay_the_order_is_paid_at_once(self) -> None:
        given(AGGREGATE, f.FREE_PLACED).when(replace(PIN, lines=(f.FREE_LINE,))).then(
            replace(
                f.RESERVED,
                hold_id=f.ORDER,
                lines=(f.FREE_LINE,),
                amount=f.NOTHING,
                payment_method_id=None,
            ),
            replace(f.PAID, hold_id=f.ORDER, charge_id=None, amount=f.NOTHING),
        )

    def test_two_currencies_cannot_be_one_charge(self) -> None:
        euro = HeldLine(
            offer_id="off_de", place=f.NYC, terms=f.terms(0, 1, "EUR"), numbers=(f.NY_2,)
        )

        given(AGGREGATE, f.PLACED).when(replace(PIN, lines=(f.TO_LINE, euro))).then(
            failed("mixed_currency")
        )

    def test_without_numbers_the_order_fails(self) -> None:
        given(AGGREGATE, f.PLACED).when(replace(PIN, lines=())).then(failed("number_gone"))

    @pytest.mark.parametrize("history", [(), *WAITING.values(), *SETTLED.values()])
    def test_only_a_placed_order_is_reserved(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(PIN).then()


class TestPaying:
    @waiting
    def test_a_charge_that_succeeded_pays_the_order(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(PAY).then(f.PAID)

    def test_a_success_that_comes_twice_pays_once(self) -> None:
        given(AGGREGATE, *f.CHARGED).when(PAY).then()

    def test_a_success_after_fulfilment_changes_nothing(self) -> None:
        given(AGGREGATE, *f.DONE).when(PAY).then()

    def test_money_that_comes_after_the_failure_goes_back_whole(self) -> None:
        refund = f.refund_requested("ref_late", f.TOTAL, reason="order_failed")

        given(AGGREGATE, f.PLACED, f.RESERVED, f.FAILED).when(PAY).then(refund)

    def test_money_that_comes_late_goes_back_once(self) -> None:
        refund = f.refund_requested("ref_late", f.TOTAL, reason="order_failed")
        again = replace(PAY, refund_id="ref_other")

        given(AGGREGATE, f.PLACED, f.RESERVED, f.FAILED, refund).when(again).then()

    @pytest.mark.parametrize("history", [(), (f.PLACED,)], ids=["new", "placed"])
    def test_nothing_is_paid_before_it_has_a_price(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(PAY).then()


class TestFailing:
    @pytest.mark.parametrize("history", [(f.PLACED,), *WAITING.values()])
    def test_an_order_that_is_not_paid_can_fail(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(DECLINE).then(f.FAILED)

    @settled
    def test_a_settled_order_does_not_fail(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(DECLINE).then()

    def test_an_order_nobody_placed_does_not_fail(self) -> None:
        given(AGGREGATE).when(DECLINE).then()

    def test_a_failure_without_words_gets_those_of_the_catalogue(self) -> None:
        refused = FailOrder(order_id=f.ORDER, code="number_gone", detail="")

        given(AGGREGATE, f.PLACED).when(refused).then(failed("number_gone"))


class TestTheBanksStep:
    @pytest.mark.parametrize("before", ["reserved", "charge_unknown"])
    def test_the_customer_has_to_confirm(self, before: str) -> None:
        given(AGGREGATE, *WAITING[before]).when(ASK_CUSTOMER).then(f.ACTION_REQUIRED)

    def test_asked_again_the_time_does_not_begin_again(self) -> None:
        again = replace(ASK_CUSTOMER, expires_at=f.SOON + timedelta(minutes=1))

        given(AGGREGATE, *WAITING["action_required"]).when(again).then()

    @settled
    def test_a_settled_order_asks_for_nothing(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(ASK_CUSTOMER).then()

    def test_the_customers_report_is_recorded_each_time(self) -> None:
        reported = OrderConfirmationReported(
            order_id=f.ORDER, account_id=f.ACCOUNT, charge_id=f.CHARGE
        )

        given(AGGREGATE, *WAITING["action_required"]).when(CONFIRM).then(reported)
        given(AGGREGATE, *WAITING["action_required"], reported).when(CONFIRM).then(reported)

    @pytest.mark.parametrize(
        "history", [(f.PLACED,), WAITING["reserved"], WAITING["charge_unknown"], *SETTLED.values()]
    )
    def test_an_order_that_asks_for_nothing_takes_no_report(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(CONFIRM).refused("nothing_to_confirm")

    @pytest.mark.parametrize("then", ["paid", "failed"])
    def test_a_report_after_the_provider_s_own_is_nothing_new(self, then: str) -> None:
        outcome = {"paid": f.PAID, "failed": f.FAILED}[then]

        given(AGGREGATE, *WAITING["action_required"], outcome).when(CONFIRM).then()

    def test_another_accounts_order_is_unknown(self) -> None:
        stranger = replace(CONFIRM, account_id="acct_2")

        given(AGGREGATE, *WAITING["action_required"]).when(stranger).refused("order_unknown")
        given(AGGREGATE).when(CONFIRM).refused("order_unknown")

    def test_the_step_ends_at_its_time(self) -> None:
        on_time = ExpireAction(order_id=f.ORDER, now=f.SOON)

        given(AGGREGATE, *WAITING["action_required"]).when(on_time).then(
            failed("authentication_required")
        )

    def test_the_step_does_not_end_before_its_time(self) -> None:
        early = ExpireAction(order_id=f.ORDER, now=f.SOON - timedelta(microseconds=1))

        given(AGGREGATE, *WAITING["action_required"]).when(early).then()

    @pytest.mark.parametrize("history", [(), WAITING["charge_unknown"], *SETTLED.values()])
    def test_where_no_step_is_waited_for_none_ends(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(ExpireAction(order_id=f.ORDER, now=f.SOON)).then()


class TestAnUnknownCharge:
    @pytest.mark.parametrize("before", ["reserved", "action_required"])
    def test_it_is_said_that_the_charge_is_not_known(self, before: str) -> None:
        given(AGGREGATE, *WAITING[before]).when(LOSE_SIGHT).then(f.CHARGE_UNKNOWN)

    def test_it_is_said_once(self) -> None:
        given(AGGREGATE, *WAITING["charge_unknown"]).when(LOSE_SIGHT).then()

    @settled
    def test_a_settled_order_stays_settled(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(LOSE_SIGHT).then()

    def test_after_its_time_a_person_looks(self) -> None:
        given(AGGREGATE, *WAITING["charge_unknown"]).when(NO_CHARGE).then(
            needs_operator("no_charge")
        )

    @pytest.mark.parametrize("command", [PAY, DECLINE, ASK_CUSTOMER])
    def test_an_outcome_that_comes_later_still_settles_it(self, command: Any) -> None:
        history = (*WAITING["charge_unknown"], needs_operator("no_charge"))

        assert len(given(AGGREGATE, *history).when(command).decided()) == 1


class TestWaitingTooLong:
    @pytest.mark.parametrize("history", [(f.PLACED,), WAITING["reserved"], f.CHARGED])
    def test_without_an_answer_a_person_looks(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(NO_ANSWER).then(needs_operator("no_answer"))

    def test_a_person_is_called_once(self) -> None:
        given(AGGREGATE, f.PLACED, needs_operator("no_answer")).when(NO_ANSWER).then()

    @pytest.mark.parametrize(
        "history",
        [(), WAITING["action_required"], WAITING["charge_unknown"], f.DONE, SETTLED["failed"]],
    )
    def test_where_no_answer_is_waited_for_nobody_is_called(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(NO_ANSWER).then()

    def test_the_free_order_may_wait_for_stock(self) -> None:
        given(AGGREGATE, f.FREE_PLACED).when(NO_ANSWER).then()

    def test_the_numbers_may_come_late(self) -> None:
        given(AGGREGATE, f.PLACED, needs_operator("no_answer")).when(PIN).then(f.RESERVED)

    def test_each_wait_calls_for_itself(self) -> None:
        history = (f.PLACED, needs_operator("no_answer"), f.RESERVED)

        given(AGGREGATE, *history).when(NO_ANSWER).then(needs_operator("no_answer"))


class TestFulfilling:
    def test_a_paid_order_ends_with_its_numbers(self) -> None:
        given(AGGREGATE, *f.CHARGED).when(FULFIL).then(f.FULFILLED)

    def test_an_order_is_fulfilled_once(self) -> None:
        given(AGGREGATE, *f.DONE).when(FULFIL).then()

    @pytest.mark.parametrize("history", [(), (f.PLACED,), *WAITING.values(), SETTLED["failed"]])
    def test_an_order_that_is_not_paid_gets_no_numbers(self, history: tuple[Any, ...]) -> None:
        given(AGGREGATE, *history).when(FULFIL).then()

    def test_refused_numbers_are_refunded_at_what_they_cost(self) -> None:
        partly = replace(FULFIL, numbers=f.NUMBERS[:2], refused=(f.TO_1,))
        cost = Money(990_000, "USD")

        given(AGGREGATE, *f.CHARGED).when(partly).then(
            replace(f.FULFILLED, numbers=f.NUMBERS[:2], refused=(f.TO_1,)),
            f.refund_requested("ref_gone", cost, (f.TO_1,), "number_gone"),
        )

    def test_an_order_that_got_no_number_has_failed_and_is_refunded(self) -> None:
        nothing = replace(FULFIL, numbers=(), refused=(f.NY_1, f.NY_2, f.TO_1))

        given(AGGREGATE, *f.CHARGED).when(nothing).then(
            failed("number_gone"),
            f.refund_requested("ref_gone", f.TOTAL, nothing.refused, "number_gone"),
        )

    def test_what_staff_returned_before_is_not_returned_again(self) -> None:
        goodwill = f.refund_requested("ref_0", f.TOTAL - Money(500_000, "USD"))
        partly = replace(FULFIL, numbers=f.NUMBERS[:2], refused=(f.TO_1,))

        given(AGGREGATE, *f.CHARGED, goodwill).when(partly).then(
            replace(f.FULFILLED, numbers=f.NUMBERS[:2], refused=(f.TO_1,)),
            f.refund_requested("ref_gone", Money(500_000, "USD"), (f.TO_1,), "number_gone"),
        )

    def test_a_refused_free_number_costs_nothing_and_is_not_refunded(self) -> None:
        free = replace(f.RESERVED, lines=(f.FREE_LINE,), amount=f.NOTHING, hold_id=f.ORDER)
        paid = replace(f.PAID, charge_id=None, amount=f.NOTHING, hold_id=f.ORDER)
        nothing = replace(FULFIL, numbers=(), refused=(f.NY_1,))

        given(AGGREGATE, f.FREE_PLACED, free, paid).when(nothing).then(
            replace(failed("number_gone"), hold_id=f.ORDER)
        )

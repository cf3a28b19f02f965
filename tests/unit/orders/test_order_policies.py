"""What orders does when inventory or billing says something, and what it waits for."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.billing import messages as billing
from services.inventory.messages import HoldRefused, Item, NumberHeld
from services.orders import policies
from services.orders.messages import (
    CompleteOrder,
    ExpireAction,
    FailOrder,
    GiveToOperator,
    PlaceOrder,
    RecordChargeUnknown,
    RecordPaid,
    RecordRefunded,
    RecordRefundFailed,
    RequireAction,
    ReserveOrder,
)
from shared.ids import derived_id
from shared.spec import ClearTimer, SetTimer
from tests.unit.orders import facts as f
from tests.unit.orders.facts import happened

OPENED = billing.AccountOpened(
    account_id=f.ACCOUNT,
    name="Ada",
    email="ada@example.com",
    country="NL",
    time_zone="Europe/Amsterdam",
    currency="USD",
)
ANSWER, ACTION, CHARGE = policies.ANSWER, policies.ACTION, policies.CHARGE


def react(message: Any) -> list[Any]:
    return list(policies.react(happened(message)))


class TestReacting:
    def test_a_new_account_orders_its_free_number(self) -> None:
        (order,) = react(OPENED)

        assert isinstance(order, PlaceOrder)
        assert (order.kind, order.items) == ("free", (Item(free_in="NL"),))
        assert order.hold_id == order.order_id

    def test_the_free_order_has_one_id_per_account_for_ever(self) -> None:
        again = policies.react(
            happened(replace(OPENED, country="US"), event_id=b"\x08" * 16, at=f.SOON)
        )
        other = react(replace(OPENED, account_id="acct_2"))

        assert again[0].order_id == react(OPENED)[0].order_id
        assert other[0].order_id != react(OPENED)[0].order_id

    def test_pinned_numbers_are_priced(self) -> None:
        assert react(f.PINNED) == [ReserveOrder(order_id=f.ORDER, lines=f.LINES, missing=())]

    def test_refused_numbers_fail_the_order(self) -> None:
        refused = HoldRefused(
            hold_id=f.QUOTE,
            account_id=f.ACCOUNT,
            order_id=f.ORDER,
            code="quote_expired",
            detail="This quote has expired.",
        )

        assert react(refused) == [
            FailOrder(order_id=f.ORDER, code="quote_expired", detail="This quote has expired.")
        ]

    def test_allocated_numbers_complete_the_order(self) -> None:
        assert react(f.ALLOCATED) == [
            CompleteOrder(order_id=f.ORDER, numbers=f.NUMBERS, refused=())
        ]

    def test_a_charge_that_succeeded_is_recorded_with_a_refund_in_case(self) -> None:
        refund_id = derived_id("ref", uuid.UUID(bytes=b"\x07" * 16))

        assert react(f.CHARGE_SUCCEEDED) == [
            RecordPaid(order_id=f.ORDER, charge_id=f.CHARGE, amount=f.TOTAL, refund_id=refund_id)
        ]

    def test_an_amount_that_stays_owed_is_as_good_as_paid(self) -> None:
        owed = billing.ChargeDeferred(
            charge_id=f.CHARGE, account_id=f.ACCOUNT, order_id=f.ORDER, amount=f.TOTAL
        )

        assert react(owed) == react(f.CHARGE_SUCCEEDED)

    def test_a_payment_of_what_is_owed_is_no_order_s(self) -> None:
        assert react(replace(f.CHARGE_SUCCEEDED, order_id="")) == []
        assert react(replace(f.CHARGE_FAILED, order_id="")) == []

    def test_a_charge_that_failed_fails_the_order(self) -> None:
        assert react(f.CHARGE_FAILED) == [
            FailOrder(order_id=f.ORDER, code="card_declined", detail="The card was declined.")
        ]

    def test_the_banks_step_has_15_minutes_from_when_the_bank_asked(self) -> None:
        asked = billing.ChargeActionRequired(
            charge_id=f.CHARGE,
            account_id=f.ACCOUNT,
            order_id=f.ORDER,
            provider_id="pi_1",
            client_secret="pi_1_secret",
        )

        assert react(asked) == [
            RequireAction(order_id=f.ORDER, charge_id=f.CHARGE, expires_at=f.SOON)
        ]

    def test_an_unknown_charge_is_recorded(self) -> None:
        unknown = billing.ChargeUnknown(charge_id=f.CHARGE, account_id=f.ACCOUNT, order_id=f.ORDER)

        assert react(unknown) == [RecordChargeUnknown(order_id=f.ORDER, charge_id=f.CHARGE)]

    def test_a_refund_is_recorded_with_its_outcome(self) -> None:
        parts: dict[str, Any] = {
            "charge_id": f.CHARGE,
            "account_id": f.ACCOUNT,
            "order_id": f.ORDER,
            "refund_id": "ref_1",
        }
        returned = billing.ChargeRefunded(amount=f.NY_COST, provider_refund="re_1", **parts)
        refused = billing.ChargeRefundFailed(code="payment_failed", detail="No.", **parts)

        assert react(returned) == [
            RecordRefunded(order_id=f.ORDER, refund_id="ref_1", amount=f.NY_COST)
        ]
        assert react(refused) == [
            RecordRefundFailed(
                order_id=f.ORDER, refund_id="ref_1", code="payment_failed", detail="No."
            )
        ]

    def test_what_is_of_no_concern_is_passed_over(self) -> None:
        held = NumberHeld(
            number=f.NY_1, block_id=f.NY_1, offer_id="off", hold_id="qt", account_id=f.ACCOUNT
        )

        assert react(held) == []

    def test_every_event_listened_to_has_an_answer(self) -> None:
        listed = {cls.__name__ for cls in policies.POLICY.events}

        assert listed == {
            "AccountOpened",
            "HoldPinned",
            "HoldRefused",
            "HoldAllocated",
            "ChargeSucceeded",
            "ChargeFailed",
            "ChargeDeferred",
            "ChargeActionRequired",
            "ChargeUnknown",
            "ChargeRefunded",
            "ChargeRefundFailed",
        }


def timers(message: Any) -> set[SetTimer | ClearTimer]:
    return set(policies.timers_of(happened(message)))


def cleared(*names: str) -> set[SetTimer | ClearTimer]:
    return {ClearTimer(name, f.ORDER) for name in names}


class TestTimers:
    @pytest.mark.parametrize("message", [f.PLACED, f.RESERVED])
    def test_an_answer_is_waited_for_15_minutes(self, message: Any) -> None:
        assert timers(message) == {SetTimer(ANSWER, f.ORDER, f.SOON)}

    def test_the_free_order_waits_as_long_as_it_takes(self) -> None:
        free = replace(f.RESERVED, lines=(f.FREE_LINE,), amount=f.NOTHING)
        paid = replace(f.PAID, charge_id=None, amount=f.NOTHING)

        assert timers(f.FREE_PLACED) == timers(free) == set()
        assert timers(paid) == cleared(ANSWER, ACTION, CHARGE)

    def test_the_bank_is_waited_for_until_its_time(self) -> None:
        asked = replace(f.ACTION_REQUIRED, expires_at=f.AT + timedelta(minutes=3))

        assert timers(asked) == {SetTimer(ACTION, f.ORDER, f.AT + timedelta(minutes=3))} | cleared(
            ANSWER, CHARGE
        )

    def test_an_unknown_charge_is_waited_for_24_hours(self) -> None:
        assert timers(f.CHARGE_UNKNOWN) == {
            SetTimer(CHARGE, f.ORDER, f.AT + timedelta(hours=24))
        } | cleared(ANSWER, ACTION)

    def test_after_the_payment_the_numbers_are_waited_for(self) -> None:
        assert timers(f.PAID) == {SetTimer(ANSWER, f.ORDER, f.SOON)} | cleared(ACTION, CHARGE)

    @pytest.mark.parametrize("message", [f.FULFILLED, f.FAILED])
    def test_an_order_that_has_ended_waits_for_nothing(self, message: Any) -> None:
        assert timers(message) == cleared(ANSWER, ACTION, CHARGE)

    def test_what_is_due_becomes_a_command(self) -> None:
        assert policies.fire(ACTION, f.ORDER, f.SOON) == ExpireAction(order_id=f.ORDER, now=f.SOON)
        assert policies.fire(ANSWER, f.ORDER, f.SOON) == GiveToOperator(
            order_id=f.ORDER, waited_for="answer"
        )
        assert policies.fire(CHARGE, f.ORDER, f.SOON) == GiveToOperator(
            order_id=f.ORDER, waited_for="charge"
        )

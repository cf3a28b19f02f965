"""Charges: the rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.billing.domain.charge import AGGREGATE, calls_for_a_look
from services.billing.messages import (
    ChargeActionRequired,
    ChargeCheckRequested,
    ChargeFailed,
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeRefundRequested,
    ChargeRequested,
    ChargeSucceeded,
    ChargeUnknown,
    CheckCharge,
    RecordActionRequired,
    RecordChargeFailed,
    RecordChargeSucceeded,
    RecordChargeUnknown,
    RecordRefunded,
    RecordRefundFailed,
    RefundCharge,
    RequestCharge,
    SettleReport,
)
from shared.money import Money
from tests.unit.spec import given

IDS = {"charge_id": "chg_1", "account_id": "acct_a", "order_id": "ord_1"}
TEN = Money(10_000_000, "USD")

REQUEST = RequestCharge(
    **IDS,
    amount=TEN,
    payment_method_id="pm_1",
    provider_customer="cus_a",
    provider_method="pm_stripe",
)
REQUESTED = ChargeRequested(
    **IDS,
    amount=TEN,
    payment_method_id="pm_1",
    provider_customer="cus_a",
    provider_method="pm_stripe",
)
SUCCEED = RecordChargeSucceeded(charge_id="chg_1", provider_id="pi_1", receipt_url="https://r")
SUCCEEDED = ChargeSucceeded(**IDS, amount=TEN, provider_id="pi_1", receipt_url="https://r")
FAIL = RecordChargeFailed(charge_id="chg_1", code="card_declined", detail="No.")
FAILED = ChargeFailed(**IDS, code="card_declined", detail="No.")
WAIT = RecordActionRequired(charge_id="chg_1", provider_id="pi_1", client_secret="s3cret")
WAITING = ChargeActionRequired(**IDS, provider_id="pi_1", client_secret="s3cret")
UNKNOWN = ChargeUnknown(**IDS)
LOOK = ChargeCheckRequested(**IDS, give_up=False)
GIVEN_UP = ChargeCheckRequested(**IDS, give_up=True)


def check(*, give_up: bool) -> CheckCharge:
    return CheckCharge(charge_id="chg_1", give_up=give_up)


def dollars(amount: int) -> Money:
    return Money(amount * 1_000_000, "USD")


def refund(refund_id: str, amount: Money) -> RefundCharge:
    return RefundCharge(charge_id="chg_1", refund_id=refund_id, amount=amount)


def refund_requested(refund_id: str, amount: Money) -> ChargeRefundRequested:
    return ChargeRefundRequested(**IDS, refund_id=refund_id, amount=amount, provider_id="pi_1")


def refunded(refund_id: str, amount: Money) -> ChargeRefunded:
    return ChargeRefunded(
        **IDS, refund_id=refund_id, amount=amount, provider_refund=f"re_{refund_id}"
    )


def record_refunded(refund_id: str, amount: Money) -> RecordRefunded:
    return RecordRefunded(
        charge_id="chg_1", refund_id=refund_id, amount=amount, provider_refund=f"re_{refund_id}"
    )


def refund_failed(refund_id: str, code: str, detail: str) -> ChargeRefundFailed:
    return ChargeRefundFailed(**IDS, refund_id=refund_id, code=code, detail=detail)


# ── The charge ────────────────────────────────────────────────────────────────────────────────────


def test_a_charge_is_requested() -> None:
    given(AGGREGATE).when(REQUEST).then(REQUESTED)


def test_a_charge_is_requested_in_whole_cents() -> None:
    given(AGGREGATE).when(replace(REQUEST, amount=Money(1_255_000, "USD"))).then(
        replace(REQUESTED, amount=Money(1_260_000, "USD"))
    )


@pytest.mark.parametrize("past", [(REQUESTED,), (REQUESTED, FAILED), (REQUESTED, SUCCEEDED)])
def test_a_charge_is_requested_once(past: tuple[object, ...]) -> None:
    given(AGGREGATE, *past).when(REQUEST).then()


def test_without_a_card_a_charge_fails_and_is_never_sent() -> None:
    given(AGGREGATE).when(replace(REQUEST, payment_method_id=None)).then(
        ChargeFailed(
            **IDS,
            code="payment_method_required",
            detail="The account has no such card to charge.",
        )
    )


@pytest.mark.parametrize("past", [(), (UNKNOWN,), (WAITING,), (UNKNOWN, WAITING), (GIVEN_UP,)])
def test_an_open_charge_succeeds_with_the_amount_that_was_asked_for(
    past: tuple[object, ...],
) -> None:
    given(AGGREGATE, REQUESTED, *past).when(SUCCEED).then(SUCCEEDED)


def test_money_that_was_taken_after_all_is_recorded_on_a_failed_charge() -> None:
    given(AGGREGATE, REQUESTED, FAILED).when(SUCCEED).then(SUCCEEDED)


def test_a_charge_succeeds_once() -> None:
    given(AGGREGATE, REQUESTED, SUCCEEDED).when(SUCCEED).then()


@pytest.mark.parametrize("past", [(), (UNKNOWN,), (WAITING,)])
def test_an_open_charge_fails(past: tuple[object, ...]) -> None:
    given(AGGREGATE, REQUESTED, *past).when(FAIL).then(FAILED)


@pytest.mark.parametrize("outcome", [SUCCEEDED, FAILED])
@pytest.mark.parametrize(
    "late", [FAIL, WAIT, RecordChargeUnknown(charge_id="chg_1"), check(give_up=True)]
)
def test_what_comes_after_the_outcome_changes_nothing(outcome: object, late: object) -> None:
    given(AGGREGATE, REQUESTED, outcome).when(late).then()


@pytest.mark.parametrize("past", [(), (UNKNOWN,)])
def test_the_bank_wants_the_customer(past: tuple[object, ...]) -> None:
    given(AGGREGATE, REQUESTED, *past).when(WAIT).then(WAITING)


def test_the_bank_wants_the_customer_once() -> None:
    given(AGGREGATE, REQUESTED, WAITING).when(WAIT).then()


def test_a_confirmation_that_nobody_waits_for_any_more_is_cancelled_next() -> None:
    given(AGGREGATE, REQUESTED, GIVEN_UP).when(WAIT).then(WAITING, GIVEN_UP)


def test_an_unknown_outcome_is_said_once() -> None:
    unknown = RecordChargeUnknown(charge_id="chg_1")

    given(AGGREGATE, REQUESTED).when(unknown).then(UNKNOWN)
    given(AGGREGATE, REQUESTED, UNKNOWN).when(unknown).then()
    given(AGGREGATE, REQUESTED, WAITING).when(unknown).then()


@pytest.mark.parametrize("past", [(WAITING,), (UNKNOWN,), (FAILED,), (SUCCEEDED,), ()])
def test_the_provider_can_always_be_asked(past: tuple[object, ...]) -> None:
    given(AGGREGATE, REQUESTED, *past).when(check(give_up=False)).then(LOOK)


@pytest.mark.parametrize("past", [(), (UNKNOWN,), (WAITING,)])
def test_an_open_charge_is_given_up_once(past: tuple[object, ...]) -> None:
    given(AGGREGATE, REQUESTED, *past).when(check(give_up=True)).then(GIVEN_UP)
    given(AGGREGATE, REQUESTED, *past, GIVEN_UP).when(check(give_up=True)).then()


@pytest.mark.parametrize("past", [(), (replace(FAILED, code="payment_method_required"),)])
@pytest.mark.parametrize("give_up", [True, False])
def test_of_a_charge_that_was_never_requested_there_is_nothing_to_see(
    past: tuple[object, ...], give_up: bool
) -> None:
    given(AGGREGATE, *past).when(check(give_up=give_up)).then()


@pytest.mark.parametrize(
    "command",
    [SUCCEED, FAIL, WAIT, RecordChargeUnknown(charge_id="chg_1"), refund("r", TEN)],
)
def test_a_charge_that_was_never_requested_has_no_outcome(command: object) -> None:
    given(AGGREGATE).when(command).refused("charge_unknown")


# ── Refunds ───────────────────────────────────────────────────────────────────────────────────────

PAID = (REQUESTED, SUCCEEDED)


def test_a_part_is_refunded() -> None:
    given(AGGREGATE, *PAID).when(refund("a", dollars(3))).then(refund_requested("a", dollars(3)))


def test_all_that_is_left_is_refunded() -> None:
    past = (*PAID, refund_requested("a", dollars(3)), refunded("a", dollars(3)))

    given(AGGREGATE, *past).when(refund("b", dollars(7))).then(refund_requested("b", dollars(7)))


def test_a_refund_is_requested_once() -> None:
    given(AGGREGATE, *PAID, refund_requested("a", dollars(3))).when(refund("a", dollars(3))).then()


def test_more_than_is_left_is_answered_by_an_event() -> None:
    past = (*PAID, refund_requested("a", dollars(3)))

    given(AGGREGATE, *past).when(refund("b", dollars(8))).then(
        refund_failed("b", "refund_too_large", "7.00 USD of this charge are left to refund.")
    )


def test_a_refund_that_failed_leaves_its_money_to_refund() -> None:
    past = (*PAID, refund_requested("a", TEN), refund_failed("a", "payment_failed", "No."))

    given(AGGREGATE, *past).when(refund("b", TEN)).then(refund_requested("b", TEN))


def test_nothing_is_left_of_a_charge_that_took_nothing() -> None:
    given(AGGREGATE, REQUESTED, FAILED).when(refund("a", dollars(1))).then(
        refund_failed("a", "refund_too_large", "0.00 USD of this charge are left to refund.")
    )


@pytest.mark.parametrize("amount", [dollars(0), dollars(-1), Money(1_000_000, "EUR")])
def test_a_refund_is_an_amount_over_zero_in_the_same_currency(amount: Money) -> None:
    given(AGGREGATE, *PAID).when(refund("a", amount)).then(
        refund_failed("a", "invalid_value", "A refund is an amount over 0 in USD.")
    )


def test_a_refund_is_recorded_with_the_amount_that_was_asked_for() -> None:
    past = (*PAID, refund_requested("a", dollars(3)))

    given(AGGREGATE, *past).when(record_refunded("a", dollars(9))).then(refunded("a", dollars(3)))


def test_a_refund_is_recorded_once() -> None:
    past = (*PAID, refund_requested("a", dollars(3)), refunded("a", dollars(3)))

    given(AGGREGATE, *past).when(record_refunded("a", dollars(3))).then()


def test_a_refund_made_at_the_provider_is_recorded_once() -> None:
    given(AGGREGATE, *PAID).when(record_refunded("x", dollars(4))).then(refunded("x", dollars(4)))
    given(AGGREGATE, *PAID, refunded("x", dollars(4))).when(
        replace(record_refunded("y", dollars(4)), provider_refund="re_x")
    ).then()


def test_a_refund_made_at_the_provider_does_not_wait_for_one_of_ours() -> None:
    past = (*PAID, refund_requested("a", TEN))

    given(AGGREGATE, *past).when(record_refunded("x", dollars(4))).then(refunded("x", dollars(4)))


def test_more_than_was_taken_cannot_have_gone_back() -> None:
    past = (*PAID, refunded("x", dollars(4)))

    given(AGGREGATE, *past).when(record_refunded("y", dollars(7))).refused("refund_too_large")


def test_a_refund_that_is_on_its_way_can_fail_and_no_other() -> None:
    failure = RecordRefundFailed(
        charge_id="chg_1", refund_id="a", code="payment_failed", detail="No."
    )
    failed = refund_failed("a", "payment_failed", "No.")
    asked = refund_requested("a", dollars(3))

    given(AGGREGATE, *PAID, asked).when(failure).then(failed)
    given(AGGREGATE, *PAID, asked, failed).when(failure).then()
    given(AGGREGATE, *PAID, asked, refunded("a", dollars(3))).when(failure).then()
    given(AGGREGATE, *PAID).when(failure).then()


# ── Reports of the provider ───────────────────────────────────────────────────────────────────────


def report(kind: str, detail: str = "") -> SettleReport:
    return SettleReport(
        charge_id="chg_1",
        kind=kind,
        provider_id="pi_1",
        detail=detail,
        reported_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("past", "kinds"),
    [
        ((), set()),
        ((replace(FAILED, code="payment_method_required"),), set()),
        ((REQUESTED,), set()),
        ((REQUESTED, UNKNOWN), {"succeeded", "failed", "canceled", "action_required"}),
        ((REQUESTED, WAITING), {"succeeded", "failed", "canceled", "action_required"}),
        ((REQUESTED, FAILED), {"succeeded"}),
        ((REQUESTED, SUCCEEDED), set()),
    ],
)
def test_a_report_is_looked_into_where_it_can_be_news(
    past: tuple[object, ...], kinds: set[str]
) -> None:
    state = given(AGGREGATE, *past).state
    asked = ("succeeded", "failed", "canceled", "action_required")

    assert {kind for kind in asked if calls_for_a_look(report(kind), state)} == kinds


def test_a_refund_is_looked_into_when_it_is_more_than_we_know_of() -> None:
    state = given(AGGREGATE, *PAID, refund_requested("a", dollars(3))).state

    assert not calls_for_a_look(report("refunded", "300"), state)
    assert calls_for_a_look(report("refunded", "301"), state)

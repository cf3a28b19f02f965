"""What is too little to be charged: the rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.billing.domain.charge import AGGREGATE
from services.billing.domain.minimum import minimum, missing
from services.billing.messages import (
    ChargeDeferred,
    ChargeFailed,
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeRefundRequested,
    ChargeRequested,
    CheckCharge,
    ClaimDeferred,
    DeferredChargeClaimed,
    DeferredChargeReleased,
    DeferredChargeSettled,
    OwedPaymentRequested,
    PayOwed,
    RecordChargeSucceeded,
    RefundCharge,
    ReleaseDeferred,
    RequestCharge,
    SettleDeferred,
)
from shared.money import Money
from tests.unit.spec import given

IDS = {"charge_id": "chg_1", "account_id": "acct_a", "order_id": "ord_1"}
PAYMENT_IDS = {"charge_id": "chg_pay", "account_id": "acct_a"}


def usd(amount: str) -> Money:
    return Money(round(float(amount) * 1_000_000), "USD")


def request(amount: Money, **changed: str | None) -> RequestCharge:
    command = RequestCharge(
        **IDS,
        amount=amount,
        payment_method_id="pm_1",
        provider_customer="cus_a",
        provider_method="pm_stripe",
    )
    return replace(command, **changed)


DEFERRED = ChargeDeferred(**IDS, amount=usd("0.205"))
WANTED = OwedPaymentRequested(
    **PAYMENT_IDS, amount=usd("0.60"), charges=("chg_1", "chg_2"), payment_method_id=None
)
CLAIM = ClaimDeferred(charge_id="chg_1", payment_id="chg_pay")
CLAIMED = DeferredChargeClaimed(**IDS, payment_id="chg_pay", amount=usd("0.205"))
RELEASE = ReleaseDeferred(charge_id="chg_1", payment_id="chg_pay")
RELEASED = DeferredChargeReleased(**IDS, payment_id="chg_pay")
SETTLE = SettleDeferred(charge_id="chg_1", payment_id="chg_pay", provider_id="pi_1")
SETTLED = DeferredChargeSettled(
    **IDS, payment_id="chg_pay", amount=usd("0.205"), provider_id="pi_1"
)


def refund(amount: str, refund_id: str = "ref_1") -> RefundCharge:
    return RefundCharge(charge_id="chg_1", refund_id=refund_id, amount=usd(amount))


def reduced(amount: str, refund_id: str = "ref_1") -> ChargeRefunded:
    return ChargeRefunded(**IDS, refund_id=refund_id, amount=usd(amount), provider_refund="")


def asked(amount: str, provider_id: str, refund_id: str = "ref_1") -> ChargeRefundRequested:
    return ChargeRefundRequested(
        **IDS, refund_id=refund_id, amount=usd(amount), provider_id=provider_id
    )


# ── Below the minimum ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("amount", ["0.49", "0.494999", "0.004"])
def test_an_order_below_the_minimum_stays_owed_to_the_last_micro(amount: str) -> None:
    given(AGGREGATE).when(request(usd(amount))).then(ChargeDeferred(**IDS, amount=usd(amount)))


@pytest.mark.parametrize(("amount", "charged"), [("0.50", "0.50"), ("0.495", "0.50")])
def test_what_is_the_minimum_once_it_is_rounded_is_charged(amount: str, charged: str) -> None:
    given(AGGREGATE).when(request(usd(amount))).then(
        ChargeRequested(
            **IDS,
            amount=usd(charged),
            payment_method_id="pm_1",
            provider_customer="cus_a",
            provider_method="pm_stripe",
        )
    )


def test_nothing_is_lent_to_an_account_without_a_card() -> None:
    detail = "The account has no such card to charge."
    failed = ChargeFailed(**IDS, code="payment_method_required", detail=detail)

    given(AGGREGATE).when(request(usd("0.20"), payment_method_id=None)).then(failed)


def test_a_charge_is_deferred_once() -> None:
    given(AGGREGATE, DEFERRED).when(request(usd("0.20"))).then()


def test_of_a_deferred_charge_the_provider_knows_nothing() -> None:
    given(AGGREGATE, DEFERRED).when(CheckCharge(charge_id="chg_1", give_up=True)).then()
    record = RecordChargeSucceeded(charge_id="chg_1", provider_id="pi_1", receipt_url="")
    given(AGGREGATE, DEFERRED).when(record).refused("charge_unknown")


@pytest.mark.parametrize(
    ("currency", "least"),
    [("USD", "0.50"), ("GBP", "0.30"), ("JPY", "50.00"), ("HUF", "175.00"), ("CLP", "1.00")],
)
def test_each_currency_has_its_minimum(currency: str, least: str) -> None:
    assert str(minimum(currency)) == least


def test_what_is_missing_is_counted_from_what_would_be_charged() -> None:
    assert missing(usd("0.205")) == usd("0.29")
    assert missing(usd("0.50")) == usd("0")
    assert missing(usd("7")) == usd("0")


# ── A payment of what is owed ─────────────────────────────────────────────────────────────────────


def test_a_payment_begins_once() -> None:
    pay = PayOwed(
        **PAYMENT_IDS, amount=usd("0.60"), charges=("chg_1", "chg_2"), payment_method_id=None
    )

    given(AGGREGATE).when(pay).then(WANTED)
    given(AGGREGATE, WANTED).when(pay).then()


def test_a_payment_charges_what_it_could_claim() -> None:
    command = request(usd("0.505"), charge_id="chg_pay", order_id="")

    given(AGGREGATE, WANTED).when(command).then(
        ChargeRequested(
            **PAYMENT_IDS,
            order_id="",
            amount=usd("0.51"),
            payment_method_id="pm_1",
            provider_customer="cus_a",
            provider_method="pm_stripe",
        )
    )


def test_a_payment_that_could_claim_too_little_fails_and_is_not_owed_itself() -> None:
    command = request(usd("0.20"), charge_id="chg_pay", order_id="")
    detail = "0.30 USD are missing to what can be charged at once."

    given(AGGREGATE, WANTED).when(command).then(
        ChargeFailed(**PAYMENT_IDS, order_id="", code="below_minimum", detail=detail)
    )


# ── Owed, claimed, settled ────────────────────────────────────────────────────────────────────────


def test_a_payment_claims_what_is_owed() -> None:
    given(AGGREGATE, DEFERRED).when(CLAIM).then(CLAIMED)


def test_what_was_refunded_before_is_not_claimed() -> None:
    given(AGGREGATE, DEFERRED, reduced("0.10")).when(CLAIM).then(
        replace(CLAIMED, amount=usd("0.105"))
    )
    given(AGGREGATE, DEFERRED, reduced("0.205")).when(CLAIM).then()


@pytest.mark.parametrize("past", [(), (SETTLED,)])
def test_no_second_payment_claims_it(past: tuple[object, ...]) -> None:
    other = replace(CLAIM, payment_id="chg_other")

    given(AGGREGATE, DEFERRED, CLAIMED, *past).when(other).then()


def test_it_is_owed_again_when_the_payment_failed() -> None:
    given(AGGREGATE, DEFERRED, CLAIMED).when(RELEASE).then(RELEASED)
    given(AGGREGATE, DEFERRED, CLAIMED, RELEASED).when(RELEASE).then()
    given(AGGREGATE, DEFERRED, CLAIMED, RELEASED).when(CLAIM).then(CLAIMED)


def test_another_payment_gives_nothing_back() -> None:
    other = replace(RELEASE, payment_id="chg_other")

    given(AGGREGATE, DEFERRED, CLAIMED).when(other).then()


def test_it_is_settled_once() -> None:
    given(AGGREGATE, DEFERRED, CLAIMED).when(SETTLE).then(SETTLED)
    given(AGGREGATE, DEFERRED, CLAIMED, SETTLED).when(SETTLE).then()
    given(AGGREGATE, DEFERRED, CLAIMED, SETTLED).when(RELEASE).then()


def test_a_payment_that_was_taken_after_all_settles_what_is_owed_again() -> None:
    given(AGGREGATE, DEFERRED, CLAIMED, RELEASED).when(SETTLE).then(SETTLED)


def test_of_what_became_less_meanwhile_only_that_is_settled() -> None:
    past = (DEFERRED, CLAIMED, RELEASED, reduced("0.20"))

    given(AGGREGATE, *past).when(SETTLE).then(replace(SETTLED, amount=usd("0.005")))
    given(AGGREGATE, *past, reduced("0.005", "ref_2")).when(SETTLE).then()


def test_a_late_payment_settles_nothing_that_another_has() -> None:
    other = replace(CLAIMED, payment_id="chg_other")
    settled = replace(SETTLED, payment_id="chg_other")

    given(AGGREGATE, DEFERRED, CLAIMED, RELEASED, other).when(SETTLE).then()
    given(AGGREGATE, DEFERRED, CLAIMED, RELEASED, other, settled).when(SETTLE).then()


def test_a_payment_settles_nothing_that_it_never_claimed() -> None:
    given(AGGREGATE, DEFERRED).when(SETTLE).then()


# ── Refunds ───────────────────────────────────────────────────────────────────────────────────────


def test_a_refund_of_what_is_owed_makes_it_less_and_asks_nobody() -> None:
    given(AGGREGATE, DEFERRED).when(refund("0.205")).then(reduced("0.205"))
    given(AGGREGATE, DEFERRED, reduced("0.205")).when(refund("0.205")).then()


def test_no_more_is_refunded_than_is_owed() -> None:
    given(AGGREGATE, DEFERRED, reduced("0.10")).when(refund("0.20", "ref_2")).then(
        ChargeRefundFailed(
            **IDS,
            refund_id="ref_2",
            code="refund_too_large",
            detail="0.105 USD of this charge are left to refund.",
        )
    )


def test_a_refund_of_what_is_being_paid_waits_for_the_payment() -> None:
    waiting = asked("0.10", "")

    given(AGGREGATE, DEFERRED, CLAIMED).when(refund("0.10")).then(waiting)
    given(AGGREGATE, DEFERRED, CLAIMED, waiting).when(SETTLE).then(SETTLED, asked("0.10", "pi_1"))
    given(AGGREGATE, DEFERRED, CLAIMED, waiting).when(RELEASE).then(RELEASED, reduced("0.10"))


def test_a_refund_of_what_was_settled_is_asked_of_the_payment_that_settled_it() -> None:
    given(AGGREGATE, DEFERRED, CLAIMED, SETTLED).when(refund("0.205")).then(asked("0.205", "pi_1"))

"""What billing does when orders says something."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.billing.messages import (
    ChargeActionRequired,
    ChargeFailed,
    ChargeOrder,
    ChargeSucceeded,
    CheckCharge,
    CloseOwedPayment,
    CollectOwed,
    OwedPaymentRequested,
    RefundCharge,
)
from services.billing.policies import ACTION, POLICY, TIMERS, charge_id_of, react
from services.billing.webhooks import report_of
from services.orders.messages import (
    OrderChargeCheckRequested,
    OrderConfirmationReported,
    OrderFailed,
    OrderPaid,
    OrderReserved,
    RefundRequested,
)
from shared.money import Money
from shared.spec import ClearTimer, SetTimer


class Said:
    """An event as a policy sees it."""

    def __init__(self, message: Any, at: datetime | None = None) -> None:
        self.message = message
        self.at = at


def reserved(amount: Money) -> OrderReserved:
    return OrderReserved(
        order_id="ord_1",
        account_id="acct_a",
        hold_id="qt_1",
        lines=(),
        missing=(),
        amount=amount,
        payment_method_id="pm_1",
    )


def reaction(message: Any) -> list[Any]:
    assert type(message) in POLICY.events
    return list(react(Said(message)))  # type: ignore[arg-type]  # All that is looked at.


def test_a_reserved_order_is_charged() -> None:
    amount = Money(1_000_000, "USD")

    assert reaction(reserved(amount)) == [
        ChargeOrder(order_id="ord_1", account_id="acct_a", amount=amount, payment_method_id="pm_1")
    ]


def test_an_order_for_nothing_is_not_charged() -> None:
    assert reaction(reserved(Money(0, "USD"))) == []


def test_a_charge_that_staff_asks_about_is_looked_up_and_not_given_up() -> None:
    said = OrderChargeCheckRequested(order_id="ord_1", account_id="acct_a", reason="why")

    assert reaction(said) == [CheckCharge(charge_id=charge_id_of("ord_1"), give_up=False)]


def test_a_reported_confirmation_is_looked_into() -> None:
    said = OrderConfirmationReported(order_id="ord_1", account_id="acct_a", charge_id="chg_1")

    assert reaction(said) == [CheckCharge(charge_id="chg_1", give_up=False)]


def test_the_charge_of_a_failed_order_is_given_up() -> None:
    said = OrderFailed(
        order_id="ord_1", account_id="acct_a", hold_id="qt_1", code="number_gone", detail=""
    )

    assert reaction(said) == [CheckCharge(charge_id=charge_id_of("ord_1"), give_up=True)]


def test_a_requested_refund_is_carried_out() -> None:
    said = RefundRequested(
        order_id="ord_1",
        account_id="acct_a",
        refund_id="ref_1",
        charge_id="chg_1",
        amount=Money(1_000_000, "USD"),
        numbers=(),
        reason="",
    )

    assert reaction(said) == [
        RefundCharge(charge_id="chg_1", refund_id="ref_1", amount=Money(1_000_000, "USD"))
    ]


def test_a_payment_of_what_is_owed_is_collected_and_closed() -> None:
    ids = {"charge_id": "chg_1", "account_id": "acct_a"}
    amount = Money(600_000, "USD")
    wanted = OwedPaymentRequested(**ids, amount=amount, charges=(), payment_method_id=None)
    failed = ChargeFailed(**ids, order_id="", code="card_declined", detail="")
    paid = ChargeSucceeded(**ids, order_id="", amount=amount, provider_id="pi", receipt_url="")

    assert reaction(wanted) == [CollectOwed(charge_id="chg_1")]
    assert reaction(failed) == reaction(paid) == [CloseOwedPayment(charge_id="chg_1")]
    assert reaction(replace(failed, order_id="ord_1")) == []


def test_only_the_bank_s_step_of_a_payment_of_what_is_owed_has_a_timer_here() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    asked = ChargeActionRequired(
        charge_id="chg_1", account_id="acct_a", order_id="", provider_id="pi", client_secret=""
    )
    failed = ChargeFailed(
        charge_id="chg_1", account_id="acct_a", order_id="", code="card_declined", detail=""
    )

    def timers(message: Any) -> list[Any]:
        return list(TIMERS.of(Said(message, at)))  # type: ignore[arg-type]  # As above.

    assert timers(asked) == [SetTimer(ACTION, "chg_1", at + timedelta(minutes=15))]
    assert timers(failed) == [ClearTimer(ACTION, "chg_1")]
    assert timers(replace(asked, order_id="ord_1")) == []
    assert TIMERS.fire(ACTION, "chg_1", at) == CheckCharge(charge_id="chg_1", give_up=True)


def test_other_events_are_nothing_to_billing() -> None:
    paid = OrderPaid(
        order_id="o", account_id="a", hold_id="h", charge_id=None, amount=Money(0, "USD")
    )

    assert list(react(Said(paid))) == []  # type: ignore[arg-type]  # All that is looked at.


def test_an_order_has_one_charge_on_every_machine() -> None:
    assert charge_id_of("ord_1") == charge_id_of("ord_1") == "chg_plho4l6ls5kkto3f543j"
    assert charge_id_of("ord_1") != charge_id_of("ord_2")


# ── Webhooks ──────────────────────────────────────────────────────────────────────────────────────


def webhook(kind: str, **subject: Any) -> dict[str, Any]:
    intent = {"id": "pi_1", "metadata": {"charge_id": "chg_1"}, **subject}
    created = 1_767_225_600
    return {"type": kind, "livemode": False, "created": created, "data": {"object": intent}}


def test_a_payment_that_succeeded_is_reported() -> None:
    found = report_of(webhook("payment_intent.succeeded"), live=False)

    assert found is not None
    assert (found.charge_id, found.kind, found.provider_id) == ("chg_1", "succeeded", "pi_1")
    assert found.reported_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_refund_is_reported_with_the_sum_so_far() -> None:
    event = webhook("charge.refunded", payment_intent="pi_1", amount_refunded=250)
    found = report_of(event, live=False)

    assert found is not None
    assert (found.kind, found.provider_id, found.detail) == ("refunded", "pi_1", "250")


@pytest.mark.parametrize(
    "event",
    [
        webhook("customer.created"),
        webhook("payment_intent.succeeded", metadata={}),
        webhook("payment_intent.succeeded", metadata=None),
        webhook("payment_intent.succeeded") | {"livemode": True},
        {"type": "balance.available", "livemode": False, "data": {}},
        {"type": "balance.available", "livemode": False},
    ],
)
def test_what_is_not_ours_is_not_reported(event: dict[str, Any]) -> None:
    assert report_of(event, live=False) is None

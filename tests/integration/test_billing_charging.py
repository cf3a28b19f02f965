"""Charges against a real provider: whatever goes wrong, an order is charged once or not at all.

The provider's own book says what was taken.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.billing.messages import (
    ChargeActionRequired,
    ChargeFailed,
    ChargeRequested,
    ChargeSucceeded,
)
from shared.money import Money
from tests.contract.payment_servers import wait_until
from tests.integration.billing_world import Bank, Billed, bank, launch

TAKING = {"method": "POST", "path": "/v1/payment_intents"}


@pytest.fixture(scope="module")
def the_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with bank(tmp_path_factory.mktemp("bank")) as running:
        yield running


@pytest.fixture
def billed(tmp_path: Path, the_bank: Bank) -> Iterator[Billed]:
    the_bank.faults()
    made = Billed(tmp_path, the_bank)
    yield made
    the_bank.faults()
    made.world.close()


def test_a_reserved_order_is_charged_once(billed: Billed) -> None:
    card = billed.add_card()
    charge_id = billed.reserve(dollars=5)
    billed.settle()

    (booked,) = billed.bank.charges(billed.order())
    assert (booked.amount_minor, booked.currency) == (500, "usd")
    assert booked.metadata == {
        "charge_id": charge_id,
        "order_id": billed.order(),
        "account_id": billed.account,
        "mode": "sandbox",
    }
    assert billed.told() == ["ChargeRequested", "ChargeSucceeded"]
    assert billed.last(ChargeSucceeded).amount == Money(5_000_000, "USD")
    found = billed.call("get_charge", charge_id=charge_id)
    assert found["status"] == "succeeded"
    assert found["amount"] == {"amount": "5.00", "currency": "USD"}
    assert found["payment_method_id"] == card["id"]
    assert found["receipt_url"].startswith(billed.bank.base_url)


def test_a_declined_card_fails_the_charge(billed: Billed) -> None:
    billed.add_card("pm_card_chargeCustomerFail")
    charge_id = billed.reserve()
    billed.settle()

    assert billed.told() == ["ChargeRequested", "ChargeFailed"]
    found = billed.call("get_charge", charge_id=charge_id)
    assert found["failure"] == {"code": "card_declined", "detail": "Your card was declined."}
    assert billed.bank.charges(billed.order()) == []


def test_without_a_card_nothing_is_sent(billed: Billed) -> None:
    billed.reserve()
    billed.settle()

    assert billed.told() == ["ChargeFailed"]
    assert billed.last(ChargeFailed).code == "payment_method_required"


def test_the_card_that_the_order_names_is_charged(billed: Billed) -> None:
    billed.add_card()
    other = billed.add_card("pm_card_mastercard")
    billed.reserve(card=other["id"])
    billed.settle()

    assert billed.last(ChargeRequested).payment_method_id == other["id"]
    (booked,) = billed.bank.charges(billed.order())
    assert booked.payment_method == billed.last(ChargeRequested).provider_method


def test_less_than_the_provider_takes_is_not_sent_and_stays_owed(billed: Billed) -> None:
    billed.add_card()
    charge_id = billed.reserve(dollars=0, cents=30)
    billed.settle()

    assert billed.told() == ["ChargeDeferred"]
    assert billed.call("get_charge", charge_id=charge_id)["status"] == "owed"


def test_an_order_for_nothing_is_not_charged(billed: Billed) -> None:
    billed.reserve(dollars=0)
    billed.settle()

    assert billed.told() == []


# ── 3-D Secure ────────────────────────────────────────────────────────────────────────────────────


def wait_for_the_bank(billed: Billed) -> tuple[str, str]:
    """A charge that waits for its customer; its id and the provider's."""
    billed.add_card("pm_card_authenticationRequired")
    charge_id = billed.reserve()
    billed.settle()
    assert billed.told() == ["ChargeRequested", "ChargeActionRequired"]
    return charge_id, str(billed.last(ChargeActionRequired).provider_id)


def test_a_confirmed_payment_succeeds(billed: Billed) -> None:
    charge_id, payment = wait_for_the_bank(billed)
    action = billed.call("get_payment_action", charge_id=charge_id)
    assert (action["type"], action["publishable_key"]) == ("three_d_secure", "pk_test_billing")

    billed.bank.finish_authentication(payment, action["client_secret"], succeeds=True)
    billed.report_confirmation()
    billed.settle()

    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeSucceeded"]
    assert len(billed.bank.charges(billed.order())) == 1
    assert billed.call("get_payment_action", charge_id=charge_id) is None
    assert billed.call("get_charge", charge_id=charge_id)["receipt_url"]


def test_a_payment_that_the_customer_refuses_fails_for_good(billed: Billed) -> None:
    charge_id, payment = wait_for_the_bank(billed)
    secret = billed.call("get_payment_action", charge_id=charge_id)["client_secret"]

    billed.bank.finish_authentication(payment, secret, succeeds=False)
    billed.report_confirmation()
    billed.settle()

    assert billed.last(ChargeFailed).code == "authentication_required"
    assert billed.bank.payment(payment)["status"] == "canceled"


def test_a_confirmation_that_was_reported_too_early_changes_nothing(billed: Billed) -> None:
    charge_id, _ = wait_for_the_bank(billed)
    billed.report_confirmation()
    billed.settle()

    assert billed.told()[2:] == ["ChargeCheckRequested"]
    assert billed.call("get_payment_action", charge_id=charge_id) is not None


def test_a_payment_of_a_failed_order_is_cancelled(billed: Billed) -> None:
    _, payment = wait_for_the_bank(billed)
    billed.fail()
    billed.settle()

    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeFailed"]
    assert billed.bank.payment(payment)["status"] == "canceled"


def test_a_payment_confirmed_just_before_its_order_failed_is_recorded_as_taken(
    billed: Billed,
) -> None:
    charge_id, payment = wait_for_the_bank(billed)
    secret = billed.call("get_payment_action", charge_id=charge_id)["client_secret"]

    billed.bank.finish_authentication(payment, secret, succeeds=True)
    billed.fail()
    billed.settle()

    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeSucceeded"]


# ── Given up before it was sent ───────────────────────────────────────────────────────────────────


def test_an_order_that_failed_before_it_was_charged_is_not_charged(billed: Billed) -> None:
    billed.add_card()
    billed.settle()
    billed.reserve()
    billed.world.engine.settle()
    billed.fail()
    billed.settle()

    assert billed.told() == ["ChargeRequested", "ChargeCheckRequested", "ChargeFailed"]
    assert billed.bank.payments(billed.customer) == []


def test_an_order_that_is_read_together_with_its_failure_is_not_charged(billed: Billed) -> None:
    billed.add_card()
    billed.settle()
    billed.reserve()
    billed.fail()
    billed.settle()

    assert billed.told() == ["ChargeRequested", "ChargeCheckRequested", "ChargeFailed"]
    assert billed.bank.payments(billed.customer) == []


# ── What goes wrong ───────────────────────────────────────────────────────────────────────────────


def test_an_error_before_booking_is_looked_up_and_sent_again(billed: Billed) -> None:
    billed.add_card()
    billed.bank.faults({"fault": "500_before", "match": TAKING, "times": 1})
    billed.reserve()
    billed.settle()
    assert billed.told() == ["ChargeRequested", "ChargeUnknown"]

    billed.settle(seconds=2)
    assert billed.told()[2:] == ["ChargeSucceeded"]
    assert len(billed.bank.charges(billed.order())) == 1


@pytest.mark.parametrize("fault", ["500_after", "dropped_answer"])
def test_a_booking_without_an_answer_is_found_and_not_repeated(billed: Billed, fault: str) -> None:
    billed.add_card()
    billed.bank.faults({"fault": fault, "match": TAKING})  # Sending again would fail again.
    billed.reserve()
    billed.settle()
    assert billed.told() == ["ChargeRequested", "ChargeUnknown"]

    billed.settle(seconds=2)
    assert billed.told()[2:] == ["ChargeSucceeded"]
    assert len(billed.bank.charges(billed.order())) == 1
    assert len(billed.bank.payments(billed.customer)) == 1


def test_an_answer_that_takes_too_long_is_unknown(tmp_path: Path, the_bank: Bank) -> None:
    billed = Billed(tmp_path, the_bank, timeout="0.4")
    billed.add_card()
    the_bank.faults({"fault": "delay_after", "seconds": 0.8, "match": TAKING})
    billed.reserve()
    billed.settle()
    assert billed.told() == ["ChargeRequested", "ChargeUnknown"]

    the_bank.faults()
    billed.settle(seconds=2)
    assert billed.told()[2:] == ["ChargeSucceeded"]
    assert len(the_bank.charges(billed.order())) == 1
    billed.world.close()


def test_a_payment_of_another_amount_is_not_taken_for_ours(billed: Billed) -> None:
    billed.add_card()
    billed.bank.faults({"fault": "500_before", "match": TAKING, "times": 1})
    charge_id = billed.reserve(dollars=5)
    billed.settle()
    asked = billed.last(ChargeRequested)
    billed.bank.take(asked.provider_customer, asked.provider_method, 400, charge_id)
    billed.settle(seconds=2)

    assert billed.told() == ["ChargeRequested", "ChargeUnknown"]


def test_an_unknown_outcome_is_said_once_however_long_it_lasts(billed: Billed) -> None:
    billed.add_card()
    billed.bank.faults({"fault": "500_before", "match": TAKING})
    billed.reserve()
    for pause in (0, 2, 3, 6):
        billed.settle(seconds=pause)

    assert billed.told() == ["ChargeRequested", "ChargeUnknown"]


def test_a_declined_payment_without_an_answer_is_found_as_declined(billed: Billed) -> None:
    billed.add_card("pm_card_chargeCustomerFail")
    billed.bank.faults({"fault": "dropped_answer", "match": TAKING, "times": 1})
    billed.reserve()
    billed.settle()
    billed.settle(seconds=2)

    assert billed.told() == ["ChargeRequested", "ChargeUnknown", "ChargeFailed"]
    assert billed.last(ChargeFailed).code == "card_declined"
    (payment,) = billed.bank.payments(billed.customer)
    assert payment["status"] == "canceled"


def test_too_many_requests_are_not_an_unknown_outcome(billed: Billed) -> None:
    billed.add_card()
    billed.bank.faults({"fault": "429", "match": TAKING, "times": 1})
    billed.reserve()
    billed.settle()
    assert billed.told() == ["ChargeRequested"]

    billed.settle(seconds=2)
    assert billed.told()[1:] == ["ChargeSucceeded"]


def test_a_provider_that_is_away_is_waited_for(tmp_path: Path) -> None:
    with bank(tmp_path / "bank") as running:
        billed = Billed(tmp_path / "data", running)
        billed.add_card()
        port = int(running.base_url.rpartition(":")[2])
        running.process.stop()
        billed.reserve()
        billed.settle()
        assert billed.told() == ["ChargeRequested"]

        running.process = launch(running.folder, running.receiver, port)
        billed.settle(seconds=2)
        assert billed.told() == ["ChargeRequested", "ChargeSucceeded"]
        assert len(running.charges(billed.order())) == 1
        billed.world.close()


# ── Crashes and losses ────────────────────────────────────────────────────────────────────────────


def charge_and_die(billed: Billed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider has booked, and we end before we could write that down."""
    billed.add_card()
    billed.settle()
    billed.reserve()
    billed.world.engine.settle()
    billed.step_and_die_at("effect.after", monkeypatch)
    assert billed.told() == ["ChargeRequested"]
    assert len(billed.bank.charges(billed.order())) == 1


def test_a_process_killed_between_call_and_recording_charges_once(
    billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_and_die(billed, monkeypatch)
    billed.bank.forget_keys()  # So that only the look-up protects.

    billed.restart()
    billed.settle()

    assert billed.told() == ["ChargeRequested", "ChargeSucceeded"]
    assert len(billed.bank.charges(billed.order())) == 1


def test_a_process_killed_before_the_call_charges_once(
    billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    billed.add_card()
    billed.settle()
    billed.reserve()
    billed.world.engine.settle()
    billed.step_and_die_at("effect.before", monkeypatch)

    billed.restart()
    billed.settle()

    assert billed.told() == ["ChargeRequested", "ChargeSucceeded"]
    assert len(billed.bank.charges(billed.order())) == 1


def test_losing_the_state_right_after_a_charge_does_not_charge_twice(
    billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_and_die(billed, monkeypatch)

    billed.lose_state()  # With it went the memory of the attempt: the key protects.
    billed.settle()

    assert billed.told() == ["ChargeRequested", "ChargeSucceeded"]
    assert len(billed.bank.charges(billed.order())) == 1


def test_losing_the_state_a_day_later_does_not_charge_twice(
    billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_and_die(billed, monkeypatch)
    billed.clock.forward(hours=30)
    billed.bank.forget_keys()

    billed.lose_state()  # Neither attempt nor key are remembered: the age of the event protects.
    billed.settle()

    assert billed.told() == ["ChargeRequested", "ChargeSucceeded"]
    assert len(billed.bank.charges(billed.order())) == 1


def test_losing_the_state_repeats_nothing_that_was_settled(billed: Billed) -> None:
    billed.add_card()
    charge_id = billed.reserve()
    billed.settle()
    billed.ask_refund(200, "1")
    billed.settle()
    before = billed.told()
    payment = billed.last(ChargeSucceeded).provider_id
    billed.bank.forget_keys()
    billed.clock.forward(hours=30)

    billed.lose_state()
    billed.settle()

    assert billed.told() == before
    assert len(billed.bank.charges(billed.order())) == 1
    assert len(billed.bank.refunds(payment)) == 1
    assert billed.call("get_charge", charge_id=charge_id)["status"] == "succeeded"


# ── Side by side ──────────────────────────────────────────────────────────────────────────────────


def test_a_slow_card_does_not_hold_up_others(tmp_path: Path, the_bank: Bank) -> None:
    billed = Billed(tmp_path, the_bank)
    slow, fast = billed.add_card("pm_card_mastercard"), billed.add_card("pm_card_visa")
    billed.settle()
    match: dict[str, Any] = {**TAKING, "payment_method": "pm_card_mastercard"}
    the_bank.faults({"fault": "delay_after", "seconds": 1.5, "match": match})
    billed.reserve("slow", card=slow["id"])
    billed.reserve("slow again", card=slow["id"])
    billed.reserve("fast", card=fast["id"])
    billed.world.engine.settle()
    waiting = threading.Thread(target=billed.world.worker("billing", 0).step)
    waiting.start()
    wait_until(lambda: the_bank.charges(billed.order("slow")))

    assert billed.world.worker("billing", 1).step()
    assert billed.told("fast") == ["ChargeRequested", "ChargeSucceeded"]
    assert not billed.world.worker("billing", 1).step()  # The second one waits for its card.
    assert waiting.is_alive()
    assert billed.told("slow") == ["ChargeRequested"]

    waiting.join(30)
    the_bank.faults()
    billed.settle()
    assert billed.told("slow") == billed.told("slow again") == billed.told("fast")
    billed.world.close()

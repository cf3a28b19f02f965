"""Paying what is owed, with a real provider beside: each charge is settled once or stays owed.

The provider's own book says what was taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.payment_sandbox.book import Book
from services.billing.messages import (
    ChargeActionRequired,
    ChargeFailed,
    ChargeSucceeded,
    DeferredChargeReleased,
    DeferredChargeSettled,
    RecordChargeFailed,
    RecordChargeSucceeded,
    RequestCharge,
)
from shared import failpoints
from shared.errors import Conflict, NotAllowed, NotFound, PaymentRequired
from shared.money import Money
from shared.rpc import VIEWER
from tests.contract.payment_servers import wait_until
from tests.integration.billing_world import Bank, Billed, KilledError, bank

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


def owe(billed: Billed, *cents: int, name: str = "o") -> list[str]:
    """Orders of so many cents each; their charges' ids."""
    ids = [billed.reserve(f"{name}{n}", 0, cents=c) for n, c in enumerate(cents)]
    billed.settle()
    return ids


def pay(billed: Billed, **more: Any) -> dict[str, Any]:
    """Pays what is owed in US dollars."""
    found: dict[str, Any] = billed.call("pay_owed", currency="USD", **more)
    return found


def balance(billed: Billed) -> dict[str, Any]:
    """What is owed in US dollars."""
    billed.settle()
    (found,) = billed.call("get_balance")["currencies"]
    return dict(found)


def nothing_owed(billed: Billed) -> bool:
    billed.settle()
    return billed.call("get_balance") == {"currencies": []}


def taken(billed: Billed) -> list[int]:
    """Cents that the provider's book says were taken from the account."""
    booked = Book(billed.bank.folder).charges()
    mine = [c for c in booked if c.metadata.get("account_id") == billed.account]
    return [c.amount_minor for c in mine if c.status == "succeeded"]


def status(billed: Billed, charge_id: str) -> str:
    billed.settle()
    return str(billed.call("get_charge", charge_id=charge_id)["status"])


def test_all_that_is_owed_is_paid_at_once(billed: Billed) -> None:
    billed.add_card()
    owed = owe(billed, 30, 25)
    assert balance(billed) | {"charges": []} == {
        "currency": "USD",
        "owed": {"amount": "0.55", "currency": "USD"},
        "being_paid": {"amount": "0.00", "currency": "USD"},
        "minimum": {"amount": "0.50", "currency": "USD"},
        "missing": {"amount": "0.00", "currency": "USD"},
        "payable": True,
        "payments": [],
        "charges": [],
    }

    payment = pay(billed)

    assert payment["status"] == "requested"
    assert payment["amount"] == {"amount": "0.55", "currency": "USD"}
    assert nothing_owed(billed)
    assert taken(billed) == [55]
    found = billed.call("get_charge", charge_id=payment["id"])
    assert (found["status"], found["kind"], found["order_id"]) == ("succeeded", "balance", None)
    assert found["pays"] == owed
    assert found["receipt_url"]
    for charge_id in owed:
        settled = billed.call("get_charge", charge_id=charge_id)
        assert (settled["status"], settled["paid_by"]) == ("settled", payment["id"])


def test_fractions_of_cents_are_added_up_before_they_are_rounded(billed: Billed) -> None:
    billed.add_card()
    card = {"payment_method_id": "pm", "provider_customer": "c", "provider_method": "m"}
    for n in range(3):
        ids = {"charge_id": f"chg_{billed.tag}_{n}", "order_id": billed.order(str(n))}
        money = Money(201_000, "USD")
        billed.world.execute(RequestCharge(**ids, account_id=billed.account, amount=money, **card))

    assert balance(billed)["owed"]["amount"] == "0.603"
    pay(billed)
    assert nothing_owed(billed)
    assert taken(billed) == [60]


def test_less_than_the_minimum_cannot_be_paid_and_it_is_said_what_is_missing(
    billed: Billed,
) -> None:
    billed.add_card()
    with pytest.raises(Conflict, match="nothing_owed"):
        pay(billed)
    owe(billed, 20)
    with pytest.raises(Conflict, match="below_minimum") as refused:
        pay(billed)

    assert refused.value.detail == "0.20 USD are owed; 0.30 are missing."
    found = balance(billed)
    assert (found["payable"], found["missing"]["amount"]) == (False, "0.30")


def test_only_owners_pay_and_only_their_own(billed: Billed) -> None:
    card = billed.add_card()
    owe(billed, 30, 30)
    with pytest.raises(NotAllowed, match="role_required"):
        pay(billed, roles=(VIEWER,))
    other = billed.open_account()
    assert billed.call("get_balance", account=other) == {"currencies": []}
    with pytest.raises(Conflict, match="nothing_owed"):
        pay(billed, account=other)
    with pytest.raises(NotFound, match="payment_method_unknown"):
        pay(billed, payment_method_id="pm_other")
    mine = pay(billed)
    with pytest.raises(NotFound, match="charge_unknown"):
        billed.call("confirm_owed_payment", charge_id=mine["id"], account=other)
    with pytest.raises(Conflict, match="nothing_to_confirm"):
        billed.call("confirm_owed_payment", charge_id=mine["id"])
    billed.settle()
    billed.call("remove_payment_method", payment_method_id=card["id"])
    owe(billed, 30, 30, name="more")  # Fails: no card, so nothing is lent.
    assert nothing_owed(billed)


def test_paying_needs_a_card(billed: Billed) -> None:
    card = billed.add_card()
    owe(billed, 30, 30)
    billed.call("remove_payment_method", payment_method_id=card["id"])
    with pytest.raises(PaymentRequired, match="payment_method_required"):
        pay(billed)


def test_the_named_card_is_charged(billed: Billed) -> None:
    billed.add_card()
    other = billed.add_card("pm_card_mastercard")
    owe(billed, 30, 30)

    payment = pay(billed, payment_method_id=other["id"])
    billed.settle()

    found = billed.call("get_charge", charge_id=payment["id"])
    assert found["payment_method_id"] == other["id"]


def test_the_same_request_again_is_the_same_payment(billed: Billed) -> None:
    billed.add_card()
    owe(billed, 30, 30)

    first = pay(billed, key="once")
    billed.settle()
    again = pay(billed, key="once")
    billed.settle()

    assert (again["id"], again["status"]) == (first["id"], "succeeded")
    assert taken(billed) == [60]


def test_two_tabs_pay_once(billed: Billed) -> None:
    billed.add_card()
    owe(billed, 30, 30)

    first, second = pay(billed), pay(billed)  # Neither has been seen by the view yet.
    assert nothing_owed(billed)

    assert taken(billed) == [60]
    assert [status(billed, p["id"]) for p in (first, second)] == ["succeeded", "failed"]
    assert billed.last(ChargeFailed).code == "below_minimum"
    assert len(billed.world.messages(DeferredChargeSettled)) == 2


def test_a_second_payment_is_refused_while_one_is_under_way(billed: Billed) -> None:
    billed.add_card("pm_card_authenticationRequired")
    owe(billed, 30, 30)
    payment = pay(billed)
    owe(billed, 40, 40, name="more")

    with pytest.raises(Conflict, match="balance_being_paid"):
        pay(billed)
    found = balance(billed)
    assert (found["owed"]["amount"], found["being_paid"]["amount"]) == ("0.80", "0.60")
    assert (found["payable"], found["payments"]) == (False, [payment["id"]])


def test_after_a_declined_card_it_stays_owed(billed: Billed) -> None:
    billed.add_card("pm_card_chargeCustomerFail")
    owe(billed, 30, 30)

    payment = pay(billed)

    assert balance(billed)["owed"]["amount"] == "0.60"
    failed = billed.call("get_charge", charge_id=payment["id"])
    assert failed["failure"]["code"] == "card_declined"
    good = billed.add_card()
    pay(billed, payment_method_id=good["id"])
    assert nothing_owed(billed)
    assert taken(billed) == [60]


def test_the_bank_s_step_is_made_as_for_orders(billed: Billed) -> None:
    billed.add_card("pm_card_authenticationRequired")
    owe(billed, 30, 30)
    payment = pay(billed)
    billed.settle()
    action = billed.call("get_payment_action", charge_id=payment["id"])
    asked = billed.last(ChargeActionRequired)

    billed.bank.finish_authentication(asked.provider_id, action["client_secret"], succeeds=True)
    billed.call("confirm_owed_payment", charge_id=payment["id"])

    assert nothing_owed(billed)
    assert taken(billed) == [60]


def test_a_bank_s_step_that_nobody_makes_is_given_up(billed: Billed) -> None:
    billed.add_card("pm_card_authenticationRequired")
    owe(billed, 30, 30)
    payment = pay(billed)
    assert status(billed, payment["id"]) == "action_required"
    billed.settle(seconds=14 * 60)
    assert status(billed, payment["id"]) == "action_required"

    billed.settle(seconds=61)

    assert status(billed, payment["id"]) == "failed"
    assert billed.last(ChargeFailed).code == "authentication_required"
    assert balance(billed)["owed"]["amount"] == "0.60"
    waiting = billed.bank.payment(billed.last(ChargeActionRequired).provider_id)
    assert waiting["status"] == "canceled"


def test_webhook_and_effect_both_reporting_settle_once(billed: Billed) -> None:
    billed.add_card()
    owe(billed, 30, 30)
    billed.bank.faults({"fault": "dropped_answer", "match": TAKING, "times": 1})
    payment = pay(billed)
    assert status(billed, payment["id"]) == "unknown"

    known, kind = late_payment(billed, payment), "payment_intent.succeeded"
    said = wait_until(lambda: billed.bank.receiver.about(known, kind))[0]
    for _ in range(2):
        body = said.payload.decode()
        billed.call("receive_webhook", body=body, signature=said.signature, roles=())
    billed.settle(seconds=2)

    assert nothing_owed(billed)
    assert taken(billed) == [60]
    assert len(billed.world.messages(DeferredChargeSettled)) == 2
    assert len(billed.world.messages(ChargeSucceeded)) == 1


def test_money_that_was_taken_after_all_settles_what_is_owed_again(billed: Billed) -> None:
    billed.add_card()
    owe(billed, 30, 30)
    payment = fail_and_then_take(billed)

    assert nothing_owed(billed)
    assert status(billed, payment["id"]) == "succeeded"
    assert len(billed.world.messages(DeferredChargeReleased)) == 2
    assert len(billed.world.messages(DeferredChargeSettled)) == 2


def test_money_that_comes_after_another_payment_goes_back(billed: Billed) -> None:
    billed.add_card()
    owe(billed, 30, 30)
    payment = fail_and_then_take(billed, between=lambda: pay(billed))

    assert nothing_owed(billed)
    found = billed.call("get_charge", charge_id=payment["id"])
    assert found["refunded_total"] == {"amount": "0.60", "currency": "USD"}
    assert sorted(taken(billed)) == [60, 60]
    assert [r.amount_minor for r in billed.bank.refunds(late_payment(billed, payment))] == [60]


def fail_and_then_take(billed: Billed, between: Any = lambda: None) -> dict[str, Any]:
    """A payment that is said to have failed, and was taken all the same."""
    billed.bank.faults({"fault": "dropped_answer", "match": TAKING, "times": 1})
    payment = pay(billed)
    billed.settle()
    ids = {"charge_id": payment["id"]}
    billed.world.execute(RecordChargeFailed(**ids, code="payment_failed", detail=""))
    assert balance(billed)["owed"]["amount"] == "0.60"
    between()
    billed.settle()
    known = late_payment(billed, payment)
    billed.world.execute(RecordChargeSucceeded(**ids, provider_id=known, receipt_url=""))
    billed.settle()
    return payment


def late_payment(billed: Billed, payment: dict[str, Any]) -> str:
    """The provider's payment of one of ours."""
    found = billed.bank.payments(billed.customer)
    return next(p["id"] for p in found if p["metadata"].get("charge_id") == payment["id"])


# ── Refunds ───────────────────────────────────────────────────────────────────────────────────────


def test_a_refund_of_what_is_owed_makes_it_less_without_the_provider(billed: Billed) -> None:
    billed.add_card()
    owe(billed, 30, 25)
    billed.ask_refund(30, name="o0")

    found = balance(billed)
    assert found["owed"]["amount"] == "0.25"
    assert [row["amount"]["amount"] for row in found["charges"]] == ["0.25"]
    assert taken(billed) == []


def test_a_refund_while_it_is_being_paid_goes_back_to_the_card(billed: Billed) -> None:
    billed.add_card("pm_card_authenticationRequired")
    owe(billed, 30, 30)
    payment = pay(billed)
    billed.settle()
    billed.ask_refund(30, name="o0")
    billed.settle()
    asked = billed.last(ChargeActionRequired)
    action = billed.call("get_payment_action", charge_id=payment["id"])
    billed.bank.finish_authentication(asked.provider_id, action["client_secret"], succeeds=True)
    billed.call("confirm_owed_payment", charge_id=payment["id"])
    billed.settle()

    assert [r.amount_minor for r in billed.bank.refunds(asked.provider_id)] == [30]
    assert nothing_owed(billed)


def test_a_refund_of_what_was_settled_goes_back_to_the_card(billed: Billed) -> None:
    billed.add_card()
    owed = owe(billed, 30, 30)
    pay(billed)
    billed.settle()
    billed.ask_refund(30, name="o1")
    billed.settle()

    payment = billed.last(ChargeSucceeded).provider_id
    assert [r.amount_minor for r in billed.bank.refunds(payment)] == [30]
    found = billed.call("get_charge", charge_id=owed[1])
    assert found["refunded_total"] == {"amount": "0.30", "currency": "USD"}


# ── Crashes ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_killed_at_any_step_everything_owed_is_paid_once(
    billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    billed.add_card()
    died_at = []
    for n in itertools.count():
        owe(billed, 30, 30, name=f"round {n} ")
        place = _pay_and_die(billed, n, monkeypatch)
        billed.restart()
        pay(billed, key=f"round {n}")  # A careful customer repeats what got no answer.
        billed.settle(seconds=130)  # A claimed row of work is taken over after two minutes.
        billed.settle(seconds=2)
        assert nothing_owed(billed), place
        assert taken(billed) == [60] * (n + 1), place
        assert len(billed.world.messages(DeferredChargeSettled)) == 2 * (n + 1), place
        if place is None:
            break
        died_at.append(place)

    assert {"append.before", "append.after", "effect.before", "effect.after"} <= set(died_at)
    assert len(died_at) >= 10


def _pay_and_die(billed: Billed, after: int, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Pays, and ends the process at the next fail-point after so many; its name, if there was."""
    reached: list[str] = []

    def reach(here: str) -> None:
        reached.append(here)
        if len(reached) > after:
            raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(failpoints, "reach", reach)
        try:
            pay(billed, key=f"round {after}")
            billed.settle()
        except KilledError:
            return reached[-1]
    return None

"""Refunds against a real provider: in part, in whole, too much, and made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.billing.messages import ChargeRefunded, ChargeRefundFailed, ChargeSucceeded
from shared.errors import NotAllowed, NotFound, Unprocessable
from shared.money import Money
from shared.rpc import STAFF
from tests.contract.payment_servers import wait_until
from tests.integration.billing_world import Bank, Billed, bank

RETURNING = {"method": "POST", "path": "/v1/refunds"}


@pytest.fixture(scope="module")
def the_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with bank(tmp_path_factory.mktemp("bank")) as running:
        yield running


@pytest.fixture
def billed(tmp_path: Path, the_bank: Bank) -> Iterator[Billed]:
    """An order of 10.00 USD that is paid."""
    the_bank.faults()
    made = Billed(tmp_path, the_bank)
    made.add_card()
    made.reserve(dollars=10)
    made.settle()
    yield made
    the_bank.faults()
    made.world.close()


def payment(billed: Billed) -> str:
    return str(billed.last(ChargeSucceeded).provider_id)


def returned(billed: Billed) -> list[int]:
    return [r.amount_minor for r in billed.bank.refunds(payment(billed))]


def charge(billed: Billed) -> dict[str, object]:
    found: dict[str, object] = billed.call(
        "get_charge", charge_id=billed.last(ChargeSucceeded).charge_id
    )
    return found


def test_a_part_and_then_the_rest_are_returned(billed: Billed) -> None:
    billed.ask_refund(300, "1")
    billed.ask_refund(700, "2")
    billed.settle()

    assert returned(billed) == [300, 700]
    assert [m.refund_id for m in billed.world.messages(ChargeRefunded)] == [
        billed.refund_id("1"),
        billed.refund_id("2"),
    ]
    assert charge(billed)["refunded_total"] == {"amount": "10.00", "currency": "USD"}


def test_more_than_is_left_is_not_sent(billed: Billed) -> None:
    billed.ask_refund(300, "1")
    billed.ask_refund(800, "2")
    billed.settle()

    assert returned(billed) == [300]
    failed = billed.last(ChargeRefundFailed)
    assert (failed.refund_id, failed.code) == (billed.refund_id("2"), "refund_too_large")


@pytest.mark.parametrize("fault", ["500_after", "dropped_answer"])
def test_a_refund_without_an_answer_is_found_and_not_repeated(billed: Billed, fault: str) -> None:
    billed.bank.faults({"fault": fault, "match": RETURNING})
    billed.ask_refund(300, "1")
    billed.settle()
    assert billed.told()[2:] == ["ChargeRefundRequested"]

    billed.settle(seconds=2)
    assert billed.told()[3:] == ["ChargeRefunded"]
    assert returned(billed) == [300]


def test_a_refund_that_did_not_arrive_is_sent_again(billed: Billed) -> None:
    billed.bank.faults({"fault": "500_before", "match": RETURNING, "times": 1})
    billed.ask_refund(300, "1")
    billed.settle()
    billed.settle(seconds=2)

    assert billed.told()[2:] == ["ChargeRefundRequested", "ChargeRefunded"]
    assert returned(billed) == [300]


def test_a_process_killed_between_refund_and_recording_refunds_once(
    billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    billed.ask_refund(300, "1")
    billed.world.engine.settle()
    billed.step_and_die_at("effect.after", monkeypatch)
    assert returned(billed) == [300]

    billed.bank.forget_keys()
    billed.clock.forward(hours=30)
    billed.lose_state()
    billed.settle()

    assert billed.told()[2:] == ["ChargeRefundRequested", "ChargeRefunded"]
    assert returned(billed) == [300]


def test_a_refund_made_at_the_provider_is_recorded_once(billed: Billed) -> None:
    billed.bank.refund(payment(billed), 400)
    hook = wait_until(lambda: billed.bank.receiver.about(payment(billed), "charge.refunded"))[0]
    text = hook.payload.decode()

    for _ in range(2):
        billed.call("receive_webhook", body=text, signature=hook.signature)
        billed.settle()

    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeRefunded"]
    assert billed.last(ChargeRefunded).amount == Money(4_000_000, "USD")
    assert charge(billed)["refunded_total"] == {"amount": "4.00", "currency": "USD"}


def test_the_report_of_our_own_refund_is_no_news(billed: Billed) -> None:
    billed.ask_refund(300, "1")
    billed.settle()
    before = billed.told()
    hook = wait_until(lambda: billed.bank.receiver.about(payment(billed), "charge.refunded"))[0]

    billed.call("receive_webhook", body=hook.payload.decode(), signature=hook.signature)
    billed.settle()

    assert billed.told() == before


def test_a_refund_that_the_provider_refuses_fails_and_shows_what_it_did_not_tell(
    billed: Billed,
) -> None:
    billed.bank.refund(payment(billed), 800)
    billed.ask_refund(300, "1")
    billed.settle()

    assert billed.told()[2:] == ["ChargeRefundRequested", "ChargeRefundFailed", "ChargeRefunded"]
    assert billed.last(ChargeRefundFailed).refund_id == billed.refund_id("1")
    assert billed.last(ChargeRefunded).amount == Money(8_000_000, "USD")
    assert returned(billed) == [800]


# ── By staff ──────────────────────────────────────────────────────────────────────────────────────


def test_staff_refund_a_part_and_then_all_that_is_left(billed: Billed) -> None:
    charge_id = str(billed.last(ChargeSucceeded).charge_id)
    part = {"amount": "2.50", "currency": "USD"}
    first = billed.call("refund", charge_id=charge_id, amount=part, roles=(STAFF,))
    assert (first["amount"], first["status"]) == (part, "requested")

    rest = billed.call("refund", charge_id=charge_id, roles=(STAFF,))
    billed.settle()

    assert rest["amount"] == {"amount": "7.50", "currency": "USD"}
    assert returned(billed) == [250, 750]


def test_staff_refund_once_per_key(billed: Billed) -> None:
    charge_id = str(billed.last(ChargeSucceeded).charge_id)
    answers = [
        billed.call("refund", charge_id=charge_id, roles=(STAFF,), key="same") for _ in range(2)
    ]
    billed.settle()

    assert answers[0] == answers[1]
    assert returned(billed) == [1000]


def test_staff_cannot_refund_more_than_is_left(billed: Billed) -> None:
    charge_id = str(billed.last(ChargeSucceeded).charge_id)
    with pytest.raises(Unprocessable, match="refund_too_large"):
        billed.call(
            "refund",
            charge_id=charge_id,
            amount={"amount": "10.01", "currency": "USD"},
            roles=(STAFF,),
        )
    billed.settle()

    assert returned(billed) == []


def test_customers_do_not_refund(billed: Billed) -> None:
    charge_id = str(billed.last(ChargeSucceeded).charge_id)
    with pytest.raises(NotAllowed, match="staff_only"):
        billed.call("refund", charge_id=charge_id)
    with pytest.raises(NotFound, match="charge_unknown"):
        billed.call("refund", charge_id="chg_none", roles=(STAFF,))

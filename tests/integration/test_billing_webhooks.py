"""The provider's reports: doubled, reordered, forged and stale ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe
import time_machine

from services.billing.messages import ChargeActionRequired
from shared.errors import BadRequest
from tests.contract.payment_servers import Delivery, wait_until
from tests.integration.billing_world import WEBHOOK_SECRET, Bank, Billed, bank

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


def confirmed(billed: Billed) -> tuple[Delivery, Delivery]:
    """The customer has confirmed at the bank, and only the bank tells; its two reports."""
    billed.add_card("pm_card_authenticationRequired")
    charge_id = billed.reserve()
    billed.settle()
    secret = billed.call("get_payment_action", charge_id=charge_id)["client_secret"]
    payment = billed.last(ChargeActionRequired).provider_id
    billed.bank.finish_authentication(payment, secret, succeeds=True)
    asked = report(billed, payment, "payment_intent.requires_action")
    return asked, report(billed, payment, "payment_intent.succeeded")


def report(billed: Billed, payment: str, kind: str) -> Delivery:
    found: list[Delivery] = wait_until(lambda: billed.bank.receiver.about(payment, kind))
    return found[0]


def deliver(billed: Billed, hook: Delivery, signature: str | None = None) -> object:
    body = hook.payload.decode()
    ctx_free = {"account": "", "roles": (), "key": ""}
    answer = billed.call(
        "receive_webhook", body=body, signature=signature or hook.signature, **ctx_free
    )
    billed.settle()
    return answer


def test_a_report_alone_settles_a_charge(billed: Billed) -> None:
    _, succeeded = confirmed(billed)

    assert deliver(billed, succeeded) == {"handled": True}
    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeSucceeded"]


def test_a_doubled_report_counts_once(billed: Billed) -> None:
    _, succeeded = confirmed(billed)
    body, signature = succeeded.payload.decode(), succeeded.signature
    for _ in range(2):
        billed.call("receive_webhook", body=body, signature=signature)
    billed.settle()
    deliver(billed, succeeded)

    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeSucceeded"]


def test_reports_in_the_wrong_order_end_the_same(billed: Billed) -> None:
    asked, succeeded = confirmed(billed)
    deliver(billed, succeeded)
    deliver(billed, asked)

    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeSucceeded"]


def test_an_old_report_shows_what_is_true_now(billed: Billed) -> None:
    asked, _ = confirmed(billed)
    deliver(billed, asked)

    assert billed.told()[2:] == ["ChargeCheckRequested", "ChargeSucceeded"]


def test_a_report_shortens_an_unknown_outcome(billed: Billed) -> None:
    billed.add_card()
    billed.bank.faults({"fault": "500_after", "match": TAKING, "times": 1})
    billed.reserve()
    billed.settle()
    (booked,) = billed.bank.charges(billed.order())
    deliver(billed, report(billed, booked.payment_intent, "payment_intent.succeeded"))

    assert billed.told()[1:] == ["ChargeUnknown", "ChargeCheckRequested", "ChargeSucceeded"]


def test_a_report_of_a_settled_charge_is_no_news(billed: Billed) -> None:
    billed.add_card()
    billed.reserve()
    billed.settle()
    (booked,) = billed.bank.charges(billed.order())
    deliver(billed, report(billed, booked.payment_intent, "payment_intent.succeeded"))

    assert billed.told() == ["ChargeRequested", "ChargeSucceeded"]


def signed(body: bytes, secret: str = WEBHOOK_SECRET, seconds_ago: int = 0) -> str:
    made: str = stripe.WebhookSignature.generate_signature_header(
        body.decode(), secret, int(time.time()) - seconds_ago
    )
    return made


@pytest.mark.parametrize("wrong", ["", "t=1,v1=00", "nonsense"])
def test_a_report_without_a_proper_signature_has_no_effect(billed: Billed, wrong: str) -> None:
    _, succeeded = confirmed(billed)
    before = billed.world.log.head()
    with pytest.raises(BadRequest, match="webhook_signature_wrong"):
        billed.call("receive_webhook", body=succeeded.payload.decode(), signature=wrong)

    assert billed.world.log.head() == before


def test_a_forged_report_has_no_effect(billed: Billed) -> None:
    _, succeeded = confirmed(billed)
    with pytest.raises(BadRequest, match="webhook_signature_wrong"):
        deliver(billed, succeeded, signed(succeeded.payload, "whsec_of_somebody_else"))
    with pytest.raises(BadRequest, match="webhook_signature_wrong"):
        deliver(billed, succeeded, signed(succeeded.payload + b" "))

    assert billed.told() == ["ChargeRequested", "ChargeActionRequired"]


def test_a_stale_report_has_no_effect(billed: Billed) -> None:
    _, succeeded = confirmed(billed)
    with pytest.raises(BadRequest, match="webhook_signature_wrong"):
        deliver(billed, succeeded, signed(succeeded.payload, seconds_ago=301))

    assert billed.told() == ["ChargeRequested", "ChargeActionRequired"]
    assert deliver(billed, succeeded, signed(succeeded.payload, seconds_ago=290))


def test_a_report_that_is_played_back_later_has_no_effect(billed: Billed) -> None:
    _, succeeded = confirmed(billed)
    deliver(billed, succeeded)
    before = billed.told()
    with (
        time_machine.travel(time.time() + 600, tick=True),
        pytest.raises(BadRequest, match="webhook_signature_wrong"),
    ):
        billed.call(
            "receive_webhook", body=succeeded.payload.decode(), signature=succeeded.signature
        )

    assert billed.told() == before


def changed(hook: Delivery, **subject: object) -> tuple[str, str]:
    event = json.loads(hook.payload)
    event["data"]["object"] |= subject
    body = json.dumps(event)
    return body, signed(body.encode())


def test_amounts_in_a_report_are_not_believed(billed: Billed) -> None:
    _, succeeded = confirmed(billed)
    body, signature = changed(succeeded, amount=1, amount_received=1)
    billed.call("receive_webhook", body=body, signature=signature)
    billed.settle()

    found = billed.call("list_charges", order_id=billed.order())["data"]
    assert [charge["amount"]["amount"] for charge in found] == ["5.00"]


@pytest.mark.parametrize(
    "metadata", [{}, {"charge_id": "chg_of_somebody_else"}], ids=["none", "unknown"]
)
def test_reports_about_what_is_not_ours_are_ignored(
    billed: Billed, metadata: dict[str, str]
) -> None:
    _, succeeded = confirmed(billed)
    before = billed.world.log.head()
    body, signature = changed(succeeded, metadata=metadata)
    answer = billed.call("receive_webhook", body=body, signature=signature)

    assert answer == {"handled": bool(metadata)}
    assert billed.world.log.head() == before


def test_kinds_of_report_that_we_do_not_know_are_ignored(billed: Billed) -> None:
    _, succeeded = confirmed(billed)
    event = json.loads(succeeded.payload) | {"type": "payment_intent.partially_funded"}
    body = json.dumps(event)

    answer = billed.call("receive_webhook", body=body, signature=signed(body.encode()))
    assert answer == {"handled": False}

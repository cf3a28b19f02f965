"""What billing may expect of a payment provider, checked on our sandbox and on localstripe.

A test that takes `provider` runs on both.  A test that takes `sandbox` runs on ours alone, because
localstripe is unable:

| what                                   | why not on localstripe                                  |
|----------------------------------------|---------------------------------------------------------|
| one key, two requests at once          | it knows no keys; the wrapper's check is not atomic     |
| a detached card is refused             | it charges cards of any customer or of none             |
| error.payment_intent of a decline      | its 402 carries code and message only                   |
| brand mastercard                       | every card is a visa                                    |
| paging and `created` of intents        | the list has neither                                    |
| customers/{id}/payment_methods         | no such route                                           |
| card numbers refused with a secret key | it takes them                                           |
| webhooks again until 2xx               | sent once                                               |
| faults, restart, parent, card page     | our own additions                                       |
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from deploy.payment_sandbox.book import Book
from tests.contract.payment_servers import (
    PUBLISHABLE_KEY,
    SECRET_KEY,
    Provider,
    Receiver,
    RefusedError,
    client_of,
    fetch,
    launch,
    post,
    start_localstripe,
    start_our_sandbox,
    wait_until,
)
from tests.support.children import first_line

STARTERS = {"sandbox": start_our_sandbox, "localstripe": start_localstripe}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Provider]]:
    started: dict[str, Provider] = {}

    def get(name: str) -> Provider:
        if name not in started:
            started[name] = STARTERS[name](tmp_path_factory.mktemp(name))
        return started[name]

    yield get
    for provider in started.values():
        provider.stop()


@pytest.fixture(params=sorted(STARTERS))
def provider(running: Callable[[str], Provider], request: pytest.FixtureRequest) -> Provider:
    return running(request.param)


@pytest.fixture
def sandbox(running: Callable[[str], Provider]) -> Provider:
    return running("sandbox")


@pytest.fixture
def faults(sandbox: Provider) -> Iterator[Callable[..., None]]:
    """Put rules in force; taken back at the end."""

    def put(*rules: dict[str, Any]) -> None:
        call(sandbox, "PUT", "/_faults", {"rules": list(rules)})

    yield put
    put()


def call(provider: Provider, method: str, path: str, document: Any = None) -> Any:
    body = None if document is None else json.dumps(document).encode()
    headers = {"Authorization": f"Bearer {SECRET_KEY}"}
    request = urllib.request.Request(provider.base_url + path, body, headers, method=method)
    return fetch(request)


def customer_with(provider: Provider, token: str = "pm_card_visa") -> tuple[str, str]:
    customer = provider.api.customers.create({"name": "Ada", "metadata": {"account": "acc_1"}})
    method = provider.api.payment_methods.attach(token, {"customer": customer.id})
    return customer.id, method.id


def pay(
    provider: Provider, customer: str, method: str, key: str | None = None, **more: Any
) -> stripe.PaymentIntent:
    wanted = {"amount": 1234, "currency": "usd", "customer": customer, "payment_method": method}
    wanted |= {"confirm": True, "off_session": True, "metadata": {"order": "ord_1"}} | more
    options = {"idempotency_key": key or uuid.uuid4().hex}
    return provider.api.payment_intents.create(wanted, options)


def booked(provider: Provider, customer: str) -> list[dict[str, Any]]:
    rows = call(provider, "GET", "/_book/charges")["data"]
    return [row for row in rows if row["customer"] == customer]


# -- customers and cards ---------------------------------------------------------------------


def test_a_customer_is_found_again(provider: Provider) -> None:
    made = provider.api.customers.create({"name": "Ada", "metadata": {"account": "acc_1"}})
    found = provider.api.customers.retrieve(made.id)
    assert (found.id, found.name, found.metadata["account"]) == (made.id, "Ada", "acc_1")


def test_an_unknown_customer_is_an_invalid_request(provider: Provider) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        provider.api.customers.retrieve("cus_unknown")
    assert caught.value.http_status == 404


def test_a_wrong_key_is_refused(provider: Provider) -> None:
    stranger = stripe.StripeClient("xx_wrong", base_addresses={"api": provider.base_url})
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.customers.create({})


def test_a_card_is_added_and_listed(provider: Provider) -> None:
    customer, method = customer_with(provider)
    listed = provider.api.payment_methods.list({"customer": customer, "type": "card"}).data
    assert [(card.id, card.card.last4, card.card.brand) for card in listed] == [
        (method, "4242", "visa")
    ]


def test_a_setup_intent_adds_the_card_to_its_customer(provider: Provider) -> None:
    customer = provider.api.customers.create({})
    intent = provider.api.setup_intents.create({"customer": customer.id, "usage": "off_session"})
    assert intent.client_secret
    done = provider.api.setup_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert done.status == "succeeded"
    method = provider.api.payment_methods.retrieve(done.payment_method)
    assert method.customer == customer.id


def test_a_declined_card_is_refused_when_added(provider: Provider) -> None:
    customer = provider.api.customers.create({})
    with pytest.raises(stripe.CardError) as caught:
        provider.api.payment_methods.attach(
            "pm_card_visa_chargeDeclined", {"customer": customer.id}
        )
    assert (caught.value.http_status, caught.value.code) == (402, "card_declined")
    assert not provider.api.payment_methods.list({"customer": customer.id, "type": "card"}).data


def test_a_declined_card_is_refused_by_a_setup_intent(provider: Provider) -> None:
    customer = provider.api.customers.create({})
    intent = provider.api.setup_intents.create({"customer": customer.id})
    with pytest.raises(stripe.CardError) as caught:
        provider.api.setup_intents.confirm(
            intent.id, {"payment_method": "pm_card_visa_chargeDeclined"}
        )
    assert caught.value.code == "card_declined"


def test_a_detached_card_is_no_longer_listed(provider: Provider) -> None:
    customer, method = customer_with(provider)
    assert provider.api.payment_methods.detach(method).customer is None
    assert not provider.api.payment_methods.list({"customer": customer, "type": "card"}).data


def test_a_detached_card_can_not_be_charged(sandbox: Provider) -> None:
    customer, method = customer_with(sandbox)
    sandbox.api.payment_methods.detach(method)
    with pytest.raises(stripe.InvalidRequestError, match="detached"):
        pay(sandbox, customer, method)
    assert not booked(sandbox, customer)


def test_a_card_of_another_customer_can_not_be_charged(sandbox: Provider) -> None:
    _, method = customer_with(sandbox)
    other, _ = customer_with(sandbox)
    with pytest.raises(stripe.InvalidRequestError, match="must be attached"):
        pay(sandbox, other, method)


def test_each_token_gives_a_new_card_of_its_brand(sandbox: Provider) -> None:
    customer, first = customer_with(sandbox, "pm_card_mastercard")
    second = sandbox.api.payment_methods.attach("pm_card_mastercard", {"customer": customer})
    assert second.id != first
    assert (second.card.brand, second.card.last4) == ("mastercard", "4444")
    listed = sandbox.api.customers.payment_methods.list(customer).data
    assert [method.id for method in listed] == [second.id, first]


def test_a_card_number_never_travels_with_the_secret_key(sandbox: Provider) -> None:
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    with pytest.raises(stripe.InvalidRequestError, match="unsafe"):
        sandbox.api.payment_methods.create({"type": "card", "card": card})


# -- charges ---------------------------------------------------------------------------------


def test_a_charge_is_paid(provider: Provider) -> None:
    customer, method = customer_with(provider)
    intent = pay(provider, customer, method, expand=["latest_charge"])
    assert (intent.status, intent.amount, intent.amount_received) == ("succeeded", 1234, 1234)
    assert intent.latest_charge.status == "succeeded"
    found = provider.api.payment_intents.retrieve(intent.id)
    assert (found.status, found.currency, found.metadata["order"]) == ("succeeded", "usd", "ord_1")


def test_a_charge_is_declined(provider: Provider) -> None:
    customer, method = customer_with(provider, "pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError) as caught:
        pay(provider, customer, method)
    assert (caught.value.http_status, caught.value.code) == (402, "card_declined")
    listed = provider.api.payment_intents.list({"customer": customer}).data
    assert [intent.status for intent in listed] == ["requires_payment_method"]
    assert listed[0].last_payment_error.code == "card_declined"


def test_a_decline_names_intent_card_and_reason(sandbox: Provider) -> None:
    customer, method = customer_with(sandbox, "pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError) as caught:
        pay(sandbox, customer, method)
    error = caught.value.error
    assert (error.decline_code, error.payment_method.id) == ("generic_decline", method)
    assert error.payment_intent.status == "requires_payment_method"
    rows = booked(sandbox, customer)
    assert [(row["status"], row["amount_minor"]) for row in rows] == [("failed", 1234)]


def test_off_session_authentication_is_refused(provider: Provider) -> None:
    customer, method = customer_with(provider, "pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as caught:
        pay(provider, customer, method)
    assert caught.value.code == "authentication_required"
    intent = caught.value.error.payment_intent
    assert provider.api.payment_intents.retrieve(intent.id).status == "requires_payment_method"


@pytest.mark.parametrize(
    ("succeeds", "status"), [(True, "succeeded"), (False, "requires_payment_method")]
)
def test_on_session_authentication_waits_for_the_person(
    provider: Provider, *, succeeds: bool, status: str
) -> None:
    customer, method = customer_with(provider, "pm_card_authenticationRequired")
    intent = pay(provider, customer, method, off_session=False)
    assert (intent.status, intent.next_action.type) == ("requires_action", "use_stripe_sdk")
    provider.finish_authentication(intent, succeeds=succeeds)
    found = provider.api.payment_intents.retrieve(intent.id)
    assert found.status == status
    if not succeeds:
        assert found.last_payment_error.code == "payment_intent_authentication_failure"


def test_an_intent_that_waits_can_be_canceled(provider: Provider) -> None:
    customer, method = customer_with(provider, "pm_card_authenticationRequired")
    intent = pay(provider, customer, method, off_session=False)
    assert provider.api.payment_intents.cancel(intent.id).status == "canceled"


def test_an_intent_is_confirmed_later(provider: Provider) -> None:
    customer, method = customer_with(provider)
    wanted = {"amount": 700, "currency": "usd", "customer": customer, "payment_method": method}
    intent = provider.api.payment_intents.create(wanted)
    assert intent.status == "requires_confirmation"
    assert provider.api.payment_intents.confirm(intent.id).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError):
        provider.api.payment_intents.confirm(intent.id)


def test_intents_are_listed_by_customer_newest_first(provider: Provider) -> None:
    customer, method = customer_with(provider)
    other, other_method = customer_with(provider)
    first, second = (pay(provider, customer, method).id for _ in range(2))
    pay(provider, other, other_method)
    listed = provider.api.payment_intents.list({"customer": customer}).data
    assert [intent.id for intent in listed] == [second, first]


def test_intents_are_paged_and_filtered_by_time(sandbox: Provider) -> None:
    customer, method = customer_with(sandbox)
    made = [pay(sandbox, customer, method) for _ in range(5)]
    page = sandbox.api.payment_intents.list({"customer": customer, "limit": 2})
    assert page.has_more
    assert [found.id for found in page.auto_paging_iter()] == [one.id for one in made[::-1]]
    for bounds, count in (({"gte": made[0].created}, 5), ({"lt": made[0].created}, 0)):
        found = sandbox.api.payment_intents.list({"customer": customer, "created": bounds})
        assert len(found.data) == count


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": "much"}, "parameter_invalid_integer"),
        ({"amount": 10}, "amount_too_small"),
        ({"currency": None}, "parameter_missing"),
        ({"colour": "red"}, "parameter_unknown"),
        ({"customer": "cus_unknown"}, "resource_missing"),
        ({"payment_method": "pm_unknown"}, "resource_missing"),
    ],
)
def test_a_malformed_charge_is_an_invalid_request(
    sandbox: Provider, wrong: dict[str, Any], code: str
) -> None:
    wanted = {"amount": 1234, "currency": "usd", "payment_method": "pm_card_visa"} | wrong
    asked = {name: value for name, value in wanted.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.api.payment_intents.create(asked | {"confirm": True})
    assert caught.value.code == code


# -- idempotency -----------------------------------------------------------------------------


def test_the_same_key_is_answered_again_and_charges_once(provider: Provider) -> None:
    customer, method = customer_with(provider)
    key = uuid.uuid4().hex
    first, again = (pay(provider, customer, method, key) for _ in range(2))
    assert first.id == again.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(provider.api.payment_intents.list({"customer": customer}).data) == 1


def test_the_same_key_with_another_amount_is_refused(provider: Provider) -> None:
    customer, method = customer_with(provider)
    key = uuid.uuid4().hex
    pay(provider, customer, method, key)
    with pytest.raises(stripe.IdempotencyError):
        pay(provider, customer, method, key, amount=9999)


def test_a_decline_is_answered_again(provider: Provider) -> None:
    customer, method = customer_with(provider, "pm_card_chargeCustomerFail")
    key = uuid.uuid4().hex
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            pay(provider, customer, method, key)
    assert len(provider.api.payment_intents.list({"customer": customer}).data) == 1


def test_a_malformed_request_leaves_its_key_free(sandbox: Provider) -> None:
    customer, method = customer_with(sandbox)
    key = uuid.uuid4().hex
    with pytest.raises(stripe.InvalidRequestError):
        pay(sandbox, customer, method, key, amount=1)
    assert pay(sandbox, customer, method, key).status == "succeeded"


def test_two_requests_at_once_with_one_key_charge_once(
    sandbox: Provider, faults: Callable[..., None]
) -> None:
    customer, method = customer_with(sandbox)
    faults({"fault": "delay", "seconds": 0.2, "match": {"customer": customer}})
    key = uuid.uuid4().hex

    def attempt(_number: int) -> str:
        try:
            return pay(sandbox, customer, method, key).id
        except stripe.APIError as error:
            return str(error.json_body["error"]["code"])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, range(4)))
    # The losers asked while the winner was still being answered.
    assert sorted(answers)[:3] == ["idempotency_key_in_use"] * 3
    assert len(booked(sandbox, customer)) == 1
    assert pay(sandbox, customer, method, key).id in answers


# -- refunds ---------------------------------------------------------------------------------


def test_a_part_and_then_the_rest_is_refunded(provider: Provider) -> None:
    customer, method = customer_with(provider)
    intent = pay(provider, customer, method)
    reason = {"payment_intent": intent.id, "reason": "requested_by_customer"}
    part = provider.api.refunds.create(reason | {"amount": 200, "metadata": {"line": "1"}})
    rest = provider.api.refunds.create(reason)
    assert [(part.amount, part.status), (rest.amount, rest.status)] == [
        (200, "succeeded"),
        (1034, "succeeded"),
    ]
    found = provider.api.refunds.retrieve(part.id)
    assert (found.amount, found.metadata["line"]) == (200, "1")
    listed = provider.api.refunds.list({"payment_intent": intent.id}).data
    assert {refund.id for refund in listed} == {part.id, rest.id}


def test_more_than_was_paid_is_not_refunded(provider: Provider) -> None:
    customer, method = customer_with(provider)
    intent = pay(provider, customer, method)
    with pytest.raises(stripe.InvalidRequestError):
        provider.api.refunds.create({"payment_intent": intent.id, "amount": 1235})
    provider.api.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        provider.api.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"


# -- webhooks --------------------------------------------------------------------------------


def test_a_webhook_is_signed_and_names_the_intent(provider: Provider) -> None:
    customer, method = customer_with(provider)
    intent = pay(provider, customer, method)
    arrived = wait_until(lambda: provider.receiver.about(intent.id, "payment_intent.succeeded"))
    assert arrived[0].is_genuine()
    assert arrived[0].event["data"]["object"]["metadata"] == {"order": "ord_1"}


def test_a_decline_and_a_refund_are_told(provider: Provider) -> None:
    failing, bad = customer_with(provider, "pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError):
        pay(provider, failing, bad)
    customer, method = customer_with(provider)
    intent = pay(provider, customer, method)
    provider.api.refunds.create({"payment_intent": intent.id})
    about = provider.receiver.about
    wait_until(lambda: about(failing, "payment_intent.payment_failed"))
    wait_until(lambda: about(intent.id, "charge.refunded"))


def test_a_refused_webhook_is_sent_again(sandbox: Provider) -> None:
    customer, method = customer_with(sandbox)
    wait_until(lambda: sandbox.receiver.about(customer, "payment_method.attached"))
    sandbox.receiver.refuse[customer] = 2
    intent = pay(sandbox, customer, method)
    arrived = wait_until(
        lambda: (
            len(found := sandbox.receiver.about(intent.id, "payment_intent.succeeded")) == 3
            and found
        )
    )
    assert len({delivery.event["id"] for delivery in arrived}) == 1


def test_events_can_be_read_back(sandbox: Provider) -> None:
    customer, method = customer_with(sandbox)
    intent = pay(sandbox, customer, method)
    sandbox.api.payment_methods.detach(method)
    newest = sandbox.api.events.list({"limit": 3}).data
    assert [event.type for event in newest] == [
        "payment_method.detached",
        "payment_intent.succeeded",
        "payment_method.attached",
    ]
    assert sandbox.api.events.retrieve(newest[1].id).data.object["id"] == intent.id
    only = sandbox.api.events.list({"limit": 1, "type": "payment_intent.succeeded"}).data
    assert only[0].id == newest[1].id


# -- faults ----------------------------------------------------------------------------------


def test_a_failure_before_the_booking_leaves_nothing(
    sandbox: Provider, faults: Callable[..., None]
) -> None:
    customer, method = customer_with(sandbox)
    faults({"fault": "500_before", "times": 1, "match": {"customer": customer}})
    key = uuid.uuid4().hex
    with pytest.raises(stripe.APIError):
        pay(sandbox, customer, method, key)
    assert not booked(sandbox, customer)
    again = pay(sandbox, customer, method, key)
    assert "Idempotent-Replayed" not in again.last_response.headers
    assert [row["payment_intent"] for row in booked(sandbox, customer)] == [again.id]


@pytest.mark.parametrize(
    ("fault", "error"),
    [("500_after", stripe.APIError), ("dropped_answer", stripe.APIConnectionError)],
)
def test_a_failure_after_the_booking_is_replayed_as_booked(
    sandbox: Provider, faults: Callable[..., None], fault: str, error: type[stripe.StripeError]
) -> None:
    customer, method = customer_with(sandbox)
    faults({"fault": fault, "times": 1, "match": {"customer": customer}})
    key = uuid.uuid4().hex
    with pytest.raises(error):
        pay(sandbox, customer, method, key)
    assert len(booked(sandbox, customer)) == 1
    again = pay(sandbox, customer, method, key)
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert [row["payment_intent"] for row in booked(sandbox, customer)] == [again.id]


def test_the_library_repeats_by_itself_and_charges_once(
    sandbox: Provider, faults: Callable[..., None]
) -> None:
    customer, method = customer_with(sandbox)
    faults({"fault": "dropped_answer", "times": 1, "match": {"customer": customer}})
    patient = client_of(sandbox.base_url, max_network_retries=2).v1
    wanted = {"amount": 900, "currency": "usd", "customer": customer, "payment_method": method}
    patient.payment_intents.create(wanted | {"confirm": True, "off_session": True})
    assert len(booked(sandbox, customer)) == 1
    assert call(sandbox, "GET", "/_faults")["rules"][0]["happened"] == 1


def test_too_many_requests(sandbox: Provider, faults: Callable[..., None]) -> None:
    customer, method = customer_with(sandbox)
    faults({"fault": "429", "match": {"path": "/v1/payment_intents", "customer": customer}})
    with pytest.raises(stripe.RateLimitError):
        pay(sandbox, customer, method)
    assert not booked(sandbox, customer)


def test_a_slow_card_does_not_slow_another(sandbox: Provider, faults: Callable[..., None]) -> None:
    slow, slow_method = customer_with(sandbox, "pm_card_mastercard")
    fast, fast_method = customer_with(sandbox)
    match = {"method": "POST", "path": "/v1/payment_intents", "payment_method": "mastercard"}
    faults({"fault": "delay", "seconds": 1, "match": match})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        begun = time.monotonic()
        waiting = [pool.submit(pay, sandbox, slow, slow_method) for _ in range(8)]
        for _ in range(5):
            pay(sandbox, fast, fast_method)
        fast_done = time.monotonic() - begun
        assert not any(future.done() for future in waiting)
        assert all(future.result().status == "succeeded" for future in waiting)
    assert fast_done < 0.9 < time.monotonic() - begun


def test_a_rule_with_a_seed_strikes_the_same_requests_again(
    sandbox: Provider, faults: Callable[..., None]
) -> None:
    customer, method = customer_with(sandbox)

    def pattern() -> list[bool]:
        match = {"customer": customer}
        faults({"fault": "500_before", "probability": 0.5, "seed": 7, "match": match})
        struck = []
        for _ in range(8):
            try:
                pay(sandbox, customer, method)
                struck.append(False)
            except stripe.APIError:
                struck.append(True)
        return struck

    first = pattern()
    assert True in first
    assert False in first
    assert pattern() == first


def test_an_unreadable_rule_is_refused_and_changes_nothing(sandbox: Provider) -> None:
    before = call(sandbox, "GET", "/_faults")
    with pytest.raises(RefusedError) as caught:
        call(sandbox, "PUT", "/_faults", {"rules": [{"fault": "fire"}]})
    assert caught.value.code == 400
    assert call(sandbox, "GET", "/_faults") == before


def test_a_webhook_arrives_twice(sandbox: Provider, faults: Callable[..., None]) -> None:
    customer, method = customer_with(sandbox)
    faults({"fault": "webhook_doubled", "match": {"event": "payment_intent."}})
    intent = pay(sandbox, customer, method)
    wait_until(lambda: len(sandbox.receiver.about(intent.id, "payment_intent.succeeded")) == 2)


def test_a_webhook_is_late_and_its_successors_are_not(
    sandbox: Provider, faults: Callable[..., None]
) -> None:
    customer, method = customer_with(sandbox)
    match = {"event": "payment_intent.", "customer": customer}
    faults({"fault": "webhook_late", "seconds": 0.7, "match": match})
    begun = time.monotonic()
    intent = pay(sandbox, customer, method)
    sandbox.api.refunds.create({"payment_intent": intent.id})
    about = sandbox.receiver.about
    refunded = wait_until(lambda: about(intent.id, "charge.refunded"))
    paid = wait_until(lambda: about(intent.id, "payment_intent.succeeded"))
    assert refunded[0].at < begun + 0.7 <= paid[0].at


def test_webhooks_arrive_in_the_wrong_order(sandbox: Provider, faults: Callable[..., None]) -> None:
    customer, method = customer_with(sandbox)
    faults({"fault": "webhook_reordered", "seconds": 0.5, "match": {"customer": customer}})
    intents = [pay(sandbox, customer, method).id for _ in range(3)]
    about = sandbox.receiver.about
    arrived = [
        wait_until(lambda one=one: about(one, "payment_intent.succeeded"))[0].at for one in intents
    ]
    assert arrived == sorted(arrived, reverse=True)


def test_a_webhook_is_not_sent_or_wrongly_signed(
    sandbox: Provider, faults: Callable[..., None]
) -> None:
    customer, method = customer_with(sandbox)
    faults(
        {"fault": "webhook_not_sent", "match": {"event": "payment_intent.succeeded"}},
        {"fault": "webhook_wrongly_signed", "match": {"event": "charge.refunded"}},
    )
    intent = pay(sandbox, customer, method)
    sandbox.api.refunds.create({"payment_intent": intent.id})
    about = sandbox.receiver.about
    refunded = wait_until(lambda: about(intent.id, "charge.refunded"))
    assert not refunded[0].is_genuine()
    assert not about(intent.id, "payment_intent.succeeded")
    kept = sandbox.api.events.list({"type": "payment_intent.succeeded", "limit": 1}).data
    assert kept[0].data.object["id"] == intent.id


# -- the process -----------------------------------------------------------------------------


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.refuse["evt_"] = 10**6
    running = launch(tmp_path, receiver)
    provider = Provider("sandbox", running.base_url, receiver, running.kill, "", {})
    customer, method = customer_with(provider)
    intent = pay(provider, customer, method, "before")
    provider.api.refunds.create({"payment_intent": intent.id, "amount": 34})
    running.kill()
    assert [row.amount_minor for row in Book(tmp_path).charges()] == [1234]

    receiver.refuse.clear()
    receiver.deliveries.clear()
    again = launch(tmp_path, receiver)
    try:
        provider = Provider("sandbox", again.base_url, receiver, again.stop, "", {})
        replayed = pay(provider, customer, method, "before")
        assert replayed.id == intent.id
        assert [row.payment_intent for row in Book(tmp_path).charges()] == [intent.id]
        assert [row.amount_minor for row in Book(tmp_path).refunds()] == [34]
        # What had not been accepted before the kill is still delivered after it.
        wait_until(lambda: receiver.about(intent.id, "payment_intent.succeeded"))
    finally:
        again.stop()
        receiver.stop()


def test_kill_9_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    delay = {"fault": "delay_after", "seconds": 30, "match": {"path": "/v1/payment_intents"}}
    running = launch(tmp_path, faults=[delay | {"times": 1}])
    stop = running.kill
    provider = Provider("sandbox", running.base_url, None, stop, "", {})  # type: ignore[arg-type]
    customer, method = customer_with(provider)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        lost = pool.submit(pay, provider, customer, method, "one")
        wait_until(lambda: Book(tmp_path).charges())  # booked, and not yet answered
        running.kill()
        with pytest.raises(stripe.APIConnectionError):
            lost.result()
    again = launch(tmp_path)
    try:
        provider = Provider("sandbox", again.base_url, None, again.stop, "", {})  # type: ignore[arg-type]
        assert pay(provider, customer, method, "one").status == "succeeded"
        assert len(Book(tmp_path).charges()) == 1
    finally:
        again.stop()


PARENT = """
import sys, time
from pathlib import Path
from tests.contract.payment_servers import launch
running = launch(Path(sys.argv[1]))
print(running.process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="looks at processes the POSIX way")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout
        child = int(first_line(parent))
        os.kill(child, 0)
        parent.kill()
    wait_until(lambda: not is_running(child), timeout=2)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # dead, and only waiting for somebody to ask for its exit code


def test_sigterm_ends_it_at_once_even_while_a_request_sleeps(tmp_path: Path) -> None:
    running = launch(tmp_path, faults=[{"fault": "delay", "seconds": 30}])
    connection = http.client.HTTPConnection(urlsplit(running.base_url).netloc, timeout=30)
    headers = {"Authorization": f"Bearer {SECRET_KEY}"}
    connection.request("POST", "/v1/customers", b"", headers)
    begun = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(2) == 0
    assert time.monotonic() - begun < 0.5
    running.stop()
    connection.close()


@pytest.mark.parametrize("keys", [("sk_live_1", "pk_test_1"), ("sk_test_1", "pk_live_1")])
def test_a_live_key_is_refused(tmp_path: Path, keys: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "deploy.payment_sandbox", "--data", str(tmp_path / "book")]
    command += ["--secret-key", keys[0], "--publishable-key", keys[1]]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, cwd=root, check=False)
    assert done.returncode == 2
    assert b"live" in done.stderr
    assert not any(key.encode() in done.stderr for key in keys)
    assert not (tmp_path / "book").exists()


# -- the card page ---------------------------------------------------------------------------


def test_the_card_page_allows_no_inline_code(sandbox: Provider) -> None:
    for path in ("/v3/", "/v3", "/v3/card", "/v3/challenge"):
        with urllib.request.urlopen(sandbox.base_url + path, timeout=30) as answer:
            policy, text = answer.headers["Content-Security-Policy"], answer.read().decode()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<style" not in text
        assert " style=" not in text
        assert "<script>" not in text


def test_a_typed_card_reaches_the_customer_by_the_publishable_key(sandbox: Provider) -> None:
    customer = sandbox.api.customers.create({})
    intent = sandbox.api.setup_intents.create({"customer": customer.id})
    card = {"number": "5555 5555 5555 4444", "exp_month": "12", "exp_year": "34", "cvc": "123"}
    fields = {f"payment_method_data[card][{name}]": value for name, value in card.items()}
    fields |= {"key": PUBLISHABLE_KEY, "client_secret": intent.client_secret}
    url = f"{sandbox.base_url}/v1/setup_intents/{intent.id}/confirm"
    done = post(url, fields | {"payment_method_data[type]": "card"})
    assert done["status"] == "succeeded"
    method = sandbox.api.payment_methods.retrieve(done["payment_method"])
    assert (method.customer, method.card.brand) == (customer.id, "mastercard")
    assert b"5555555555554444" not in b"".join(
        delivery.payload for delivery in sandbox.receiver.deliveries
    )


def test_a_publishable_key_opens_only_what_its_secret_names(sandbox: Provider) -> None:
    customer = sandbox.api.customers.create({})
    intent = sandbox.api.setup_intents.create({"customer": customer.id})
    for path, fields in (
        ("/v1/customers", {}),
        (f"/v1/setup_intents/{intent.id}/confirm", {"client_secret": "wrong"}),
    ):
        with pytest.raises(RefusedError) as caught:
            post(sandbox.base_url + path, fields | {"key": PUBLISHABLE_KEY})
        assert caught.value.code in {400, 401}

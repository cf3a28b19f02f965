"""What the provider's answers, and their absence, mean for us."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.billing.messages import ChargeRequested
from services.billing.provider import Provider
from services.billing.provider_answers import ProviderRefusedError
from shared import config
from shared.config import Settings
from shared.consumers.effects import NotSentError, OutcomeUnknownError
from shared.money import Money
from tests.integration.billing_world import SECRET_KEY, Bank, bank

SENDING = {"method": "POST"}


@pytest.fixture(scope="module")
def the_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with bank(tmp_path_factory.mktemp("bank")) as running:
        yield running


@pytest.fixture
def settings(the_bank: Bank) -> Iterator[Settings]:
    the_bank.faults()
    yield config.load(
        {
            "PBXIM_MODE": "sandbox",
            "PBXIM_STRIPE_SECRET_KEY": SECRET_KEY,
            "PBXIM_STRIPE_API_BASE": the_bank.base_url,
            "PBXIM_STRIPE_TIMEOUT": "0.5",
        }
    )
    the_bank.faults()


@pytest.fixture
def asked(settings: Settings, request: pytest.FixtureRequest) -> ChargeRequested:
    """A charge of a card that pays."""
    provider = Provider(settings)
    customer = provider.make_customer(f"acct_{request.node.name}")
    card = provider.attach("pm_card_visa", customer, f"attach {request.node.name}")
    return ChargeRequested(
        charge_id=f"chg_{request.node.name}",
        account_id="acct_1",
        order_id="ord_1",
        amount=Money(5_000_000, "USD"),
        payment_method_id="pm_1",
        provider_customer=customer,
        provider_method=card.provider_id,
    )


def send(settings: Settings, asked: ChargeRequested) -> Any:
    return Provider(settings).charge(asked, asked.charge_id)


def read(settings: Settings, asked: ChargeRequested) -> Any:
    return Provider(settings).find_payment(asked.provider_customer, asked.charge_id, 0)


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("call", [send, read])
@pytest.mark.parametrize(
    "base", [closed_port(), "http://no-such-host.invalid"], ids=["nobody listens", "no such host"]
)
def test_without_a_connection_nothing_was_sent(
    settings: Settings, asked: ChargeRequested, call: Callable[..., Any], base: str
) -> None:
    with pytest.raises(NotSentError):
        call(replace(settings, stripe_api_base=base), asked)


def test_a_proxy_of_the_environment_is_used(
    settings: Settings, asked: ChargeRequested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", settings.stripe_api_base or "")
    monkeypatch.setenv("no_proxy", "")
    behind = replace(settings, stripe_api_base="http://no-such-host.invalid")
    assert send(behind, asked).status == "succeeded"


@pytest.mark.parametrize("key", [None, "sk_test_wrong"])
def test_without_a_proper_key_nothing_was_sent(
    settings: Settings, asked: ChargeRequested, key: str | None
) -> None:
    with pytest.raises(NotSentError):
        send(replace(settings, stripe_secret_key=key), asked)


def test_too_many_requests_were_not_carried_out(
    settings: Settings, asked: ChargeRequested, the_bank: Bank
) -> None:
    the_bank.faults({"fault": "429", "match": SENDING})
    with pytest.raises(NotSentError):
        send(settings, asked)


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "delay_after", "seconds": 0.8},
        {"fault": "500_before"},
        {"fault": "500_after"},
        {"fault": "dropped_answer"},
    ],
    ids=lambda fault: fault["fault"],
)
def test_without_an_answer_the_outcome_of_sending_is_unknown_and_reading_is_repeated(
    settings: Settings, asked: ChargeRequested, the_bank: Bank, fault: dict[str, Any]
) -> None:
    the_bank.faults(fault)
    with pytest.raises(OutcomeUnknownError):
        send(settings, asked)
    with pytest.raises(NotSentError):
        read(settings, asked)


def test_a_key_that_was_used_for_something_else_is_looked_up(
    settings: Settings, asked: ChargeRequested
) -> None:
    send(settings, asked)
    with pytest.raises(OutcomeUnknownError):
        send(settings, replace(asked, amount=Money(6_000_000, "USD")))


def test_a_key_takes_money_once(settings: Settings, asked: ChargeRequested) -> None:
    first = send(settings, asked)

    assert first.status == "succeeded"
    assert send(settings, asked).id == first.id


def test_what_cannot_be_is_refused(settings: Settings) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        Provider(settings).setup("seti_none")

    assert refused.value.code == "payment_failed"
    assert "seti_none" not in refused.value.detail


@pytest.mark.slow
def test_a_payment_is_found_behind_many_others(settings: Settings, asked: ChargeRequested) -> None:
    first = send(settings, asked)
    provider = Provider(settings)
    for n in range(101):  # One page is 100.
        provider.charge(replace(asked, charge_id=f"{asked.charge_id}_{n}"), f"{first.id} {n}")

    found = read(settings, asked)
    assert found is not None
    assert found.id == first.id
    assert read(settings, replace(asked, charge_id="chg_none")) is None


def test_the_library_is_not_loaded_before_the_first_call() -> None:
    program = """
import sys
from services.billing import spec
from services.billing.provider import Provider
from shared.config import load
spec()
Provider(load({"PBXIM_MODE": "sandbox", "PBXIM_STRIPE_SECRET_KEY": "sk_test_1"}))
sys.exit("stripe" in sys.modules)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, check=False)

    assert done.returncode == 0

"""Accounts and cards: the rules."""

from __future__ import annotations

from dataclasses import replace

import phonenumbers
import pytest

from services.billing.countries import default_time_zone
from services.billing.domain.account import AGGREGATE
from services.billing.messages import (
    AccountOpened,
    AddPaymentMethod,
    ChangeDefaultPaymentMethod,
    DefaultPaymentMethodChanged,
    OpenAccount,
    PaymentMethodAdded,
    PaymentMethodRemoved,
    RemovePaymentMethod,
)
from tests.unit.spec import given

OPEN = OpenAccount(
    account_id="acct_a",
    name="Ada Ltd",
    email="ada@example.com",
    country="GB",
    time_zone="Europe/London",
    currency="USD",
)
OPENED = AccountOpened(
    account_id="acct_a",
    name="Ada Ltd",
    email="ada@example.com",
    country="GB",
    time_zone="Europe/London",
    currency="USD",
)


def add(card: str, provider_id: str | None = None) -> AddPaymentMethod:
    return AddPaymentMethod(
        account_id="acct_a",
        payment_method_id=card,
        provider_id=provider_id or f"stripe_{card}",
        provider_customer="cus_a",
        brand="visa",
        last4="4242",
        exp_month=12,
        exp_year=2034,
    )


def added(card: str, *, default: bool) -> PaymentMethodAdded:
    return PaymentMethodAdded(
        account_id="acct_a",
        payment_method_id=card,
        provider_id=f"stripe_{card}",
        provider_customer="cus_a",
        brand="visa",
        last4="4242",
        exp_month=12,
        exp_year=2034,
        default=default,
    )


def removed(card: str, new_default: str | None = None) -> PaymentMethodRemoved:
    return PaymentMethodRemoved(
        account_id="acct_a", payment_method_id=card, new_default=new_default
    )


def remove(card: str) -> RemovePaymentMethod:
    return RemovePaymentMethod(account_id="acct_a", payment_method_id=card)


def make_default(card: str) -> ChangeDefaultPaymentMethod:
    return ChangeDefaultPaymentMethod(account_id="acct_a", payment_method_id=card)


TWO_CARDS = (OPENED, added("pm_1", default=True), added("pm_2", default=False))


def test_an_account_is_opened() -> None:
    given(AGGREGATE).when(OPEN).then(OPENED)


def test_an_account_is_opened_once() -> None:
    given(AGGREGATE, OPENED).when(OPEN).then()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", "   "),
        ("name", "n" * 201),
        ("email", "ada"),
        ("email", "@example.com"),
        ("email", "a da@example.com"),
        ("country", "UK"),
        ("country", "gb"),
        ("country", ""),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", ""),
        ("time_zone", "../etc/passwd"),
        ("currency", "XXY"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(field: str, wrong: str) -> None:
    command = replace(OPEN, **{field: wrong})

    given(AGGREGATE).when(command).refused("invalid_value", param=field)


def test_the_first_card_is_the_default() -> None:
    given(AGGREGATE, OPENED).when(add("pm_1")).then(added("pm_1", default=True))


def test_the_second_card_is_not() -> None:
    given(AGGREGATE, OPENED, added("pm_1", default=True)).when(add("pm_2")).then(
        added("pm_2", default=False)
    )


def test_the_first_card_after_all_were_removed_is_the_default_again() -> None:
    given(AGGREGATE, OPENED, added("pm_1", default=True), removed("pm_1")).when(add("pm_2")).then(
        added("pm_2", default=True)
    )


def test_the_same_card_of_the_provider_is_one_card() -> None:
    given(AGGREGATE, *TWO_CARDS).when(add("pm_3", "stripe_pm_1")).then()


def test_a_card_that_was_removed_is_not_added_again_by_the_old_command() -> None:
    given(AGGREGATE, *TWO_CARDS, removed("pm_2")).when(add("pm_2")).then()


@pytest.mark.parametrize("command", [add("pm_1"), remove("pm_1"), make_default("pm_1")])
def test_an_account_that_was_never_opened_has_no_cards(command: object) -> None:
    given(AGGREGATE).when(command).refused("account_unknown")


def test_another_card_becomes_the_default() -> None:
    given(AGGREGATE, *TWO_CARDS).when(make_default("pm_2")).then(
        DefaultPaymentMethodChanged(account_id="acct_a", payment_method_id="pm_2")
    )


def test_the_default_card_is_the_default_already() -> None:
    given(AGGREGATE, *TWO_CARDS).when(make_default("pm_1")).then()


def test_a_removed_default_is_followed_by_the_oldest_card_left() -> None:
    given(AGGREGATE, *TWO_CARDS, added("pm_3", default=False)).when(remove("pm_1")).then(
        removed("pm_1", "pm_2")
    )


def test_the_last_card_has_no_heir() -> None:
    given(AGGREGATE, OPENED, added("pm_1", default=True)).when(remove("pm_1")).then(removed("pm_1"))


def test_removing_another_card_leaves_the_default() -> None:
    given(AGGREGATE, *TWO_CARDS).when(remove("pm_2")).then(removed("pm_2"))


@pytest.mark.parametrize("command", [remove("pm_1"), make_default("pm_1"), remove("pm_9")])
def test_a_card_that_is_gone_is_unknown(command: object) -> None:
    given(AGGREGATE, *TWO_CARDS, removed("pm_1", "pm_2")).when(command).refused(
        "payment_method_unknown"
    )


def test_an_order_is_charged_to_the_card_it_names_or_to_the_default_or_to_none() -> None:
    state = given(AGGREGATE, *TWO_CARDS, removed("pm_1", "pm_2")).state

    assert state.chargeable(None).payment_method_id == "pm_2"
    assert state.chargeable("pm_2").payment_method_id == "pm_2"
    assert state.chargeable("pm_1") is None
    assert given(AGGREGATE, OPENED).state.chargeable(None) is None


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_country_has_a_time_zone_that_an_account_can_have(country: str) -> None:
    command = replace(OPEN, country=country, time_zone=default_time_zone(country))

    given(AGGREGATE).when(command).then(
        replace(OPENED, country=country, time_zone=command.time_zone)
    )


def test_a_country_with_many_zones_gets_that_of_its_largest_city() -> None:
    zones = {country: default_time_zone(country) for country in ("US", "CA", "AU", "GB", "NL")}

    assert zones == {
        "US": "America/New_York",
        "CA": "America/Toronto",
        "AU": "Australia/Sydney",
        "GB": "Europe/London",
        "NL": "Europe/Amsterdam",
    }

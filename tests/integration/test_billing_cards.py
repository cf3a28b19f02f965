"""Accounts and cards as others call for them, with a real provider behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.billing.messages import PaymentMethodAdded
from shared.errors import (
    BadRequest,
    Conflict,
    NotAllowed,
    NotFound,
    PaymentRequired,
    PbxError,
    Unavailable,
    Unprocessable,
)
from shared.rpc import STAFF, VIEWER
from tests.integration.billing_world import Bank, Billed, bank


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


def listed(billed: Billed) -> list[tuple[str, bool]]:
    billed.settle()
    return [(card["id"], card["default"]) for card in billed.call("list_payment_methods")]


# ── Accounts ──────────────────────────────────────────────────────────────────────────────────────


def test_an_account_is_opened_and_found(billed: Billed) -> None:
    billed.settle()
    found = billed.call("get_account")

    assert found == {
        "id": billed.account,
        "name": "Ada Ltd",
        "email": "ada@example.com",
        "country": "GB",
        "time_zone": "Europe/London",
        "currency": "USD",
        "created_at": found["created_at"],
    }
    assert found["created_at"].endswith("Z")


def test_an_account_is_opened_once_per_key_and_told_as_it_was_opened(billed: Billed) -> None:
    fields = {"name": "Bea", "email": "bea@example.com", "country": "US"}
    call: dict[str, Any] = {"account": "", "roles": (STAFF,), "key": "same", **fields}
    first = billed.call("open_account", **call)
    billed.clock.forward(hours=1)

    assert billed.call("open_account", **call) == first
    assert first["time_zone"] == "America/New_York"


def test_names_are_sealed_in_the_log(billed: Billed) -> None:
    stored = b"".join(e.payload for e in billed.world.log.read_all(0, 100))

    assert b"Ada" not in stored
    assert b"ada@example.com" not in stored


def test_only_staff_open_and_list_accounts(billed: Billed) -> None:
    with pytest.raises(NotAllowed, match="staff_only"):
        billed.call("open_account", name="B", email="b@example.com", country="US")
    with pytest.raises(NotAllowed, match="staff_only"):
        billed.call("list_accounts")


def test_staff_page_through_accounts_newest_first(billed: Billed) -> None:
    others = [billed.open_account() for _ in range(2)]
    billed.settle()
    staff = {"account": "", "roles": (STAFF,)}
    page = billed.call("list_accounts", limit=2, **staff)
    rest = billed.call("list_accounts", limit=2, after=page["next"], **staff)

    assert [found["id"] for found in page["data"]] == others[::-1]
    assert [found["id"] for found in rest["data"]] == [billed.account]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 0}, "invalid_value"),
        ({"limit": 101}, "invalid_value"),
        ({"after": "?"}, "invalid_cursor"),
    ],
)
def test_a_list_is_asked_for_properly(billed: Billed, query: dict[str, Any], code: str) -> None:
    with pytest.raises(Unprocessable, match=code):
        billed.call("list_accounts", roles=(STAFF,), **query)


def test_another_account_is_not_found(billed: Billed) -> None:
    other = billed.open_account()
    billed.settle()

    with pytest.raises(NotFound, match="account_unknown"):
        billed.call("get_account", account_id=other)
    assert billed.call("get_account", account_id=other, roles=(STAFF,))["id"] == other


# ── Adding cards ──────────────────────────────────────────────────────────────────────────────────


def test_a_card_is_added_by_the_providers_own_form(billed: Billed) -> None:
    begun = billed.call("create_setup_intent")
    assert begun["publishable_key"] == "pk_test_billing"
    assert begun["script_url"] == "https://js.stripe.com/v3/"
    billed.bank.confirm_setup(begun["id"], begun["client_secret"], "pm_card_mastercard")

    card = billed.call("add_payment_method", setup_intent_id=begun["id"])

    assert (card["brand"], card["last4"], card["default"]) == ("mastercard", "4444", True)
    assert listed(billed) == [(card["id"], True)]


def test_a_card_of_the_form_can_be_charged(billed: Billed) -> None:
    begun = billed.call("create_setup_intent")
    billed.bank.confirm_setup(begun["id"], begun["client_secret"], "pm_card_visa")
    billed.call("add_payment_method", setup_intent_id=begun["id"])
    billed.reserve()
    billed.settle()

    assert len(billed.bank.charges(billed.order())) == 1


def test_one_set_up_is_one_card(billed: Billed) -> None:
    begun = billed.call("create_setup_intent")
    billed.bank.confirm_setup(begun["id"], begun["client_secret"], "pm_card_visa")
    cards = [billed.call("add_payment_method", setup_intent_id=begun["id"]) for _ in range(2)]

    assert cards[0]["id"] == cards[1]["id"]
    assert listed(billed) == [(cards[0]["id"], True)]


def test_a_set_up_of_another_account_is_unknown(billed: Billed) -> None:
    begun = billed.call("create_setup_intent")
    billed.bank.confirm_setup(begun["id"], begun["client_secret"], "pm_card_visa")
    other = billed.open_account()

    with pytest.raises(NotFound, match="payment_method_unknown"):
        billed.call("add_payment_method", setup_intent_id=begun["id"], account=other)
    with pytest.raises(NotFound, match="payment_method_unknown"):
        billed.call("add_payment_method", setup_intent_id="seti_none")


def test_a_set_up_that_is_not_complete_is_not_a_card(billed: Billed) -> None:
    begun = billed.call("create_setup_intent")

    with pytest.raises(Unprocessable, match="invalid_value"):
        billed.call("add_payment_method", setup_intent_id=begun["id"])


def test_a_token_is_one_card_per_key(billed: Billed) -> None:
    cards = [billed.add_card(key="same") for _ in range(2)]

    assert cards[0] == cards[1]
    assert listed(billed) == [(cards[0]["id"], True)]
    assert len(billed.world.messages(PaymentMethodAdded)) == 1


def test_a_repeated_request_tells_of_its_card_even_if_the_card_has_gone(billed: Billed) -> None:
    card = billed.add_card(key="same")
    billed.call("remove_payment_method", payment_method_id=card["id"])
    billed.settle()

    assert billed.add_card(key="same")["id"] == card["id"]
    assert listed(billed) == []


def test_a_card_that_its_bank_refuses_is_not_added(billed: Billed) -> None:
    with pytest.raises(PaymentRequired, match="card_declined"):
        billed.add_card("pm_card_visa_chargeDeclined")
    assert listed(billed) == []


def test_a_card_that_the_form_refuses_is_not_added(billed: Billed) -> None:
    begun = billed.call("create_setup_intent")
    with pytest.raises(OSError, match="402"):
        billed.bank.confirm_setup(
            begun["id"], begun["client_secret"], "pm_card_visa_chargeDeclined"
        )
    with pytest.raises(PaymentRequired, match="card_declined"):
        billed.call("add_payment_method", setup_intent_id=begun["id"])


@pytest.mark.parametrize(
    "arguments", [{}, {"setup_intent_id": "seti_1", "payment_method": "pm_card_visa"}]
)
def test_a_card_is_named_in_one_way(billed: Billed, arguments: dict[str, str]) -> None:
    with pytest.raises(Unprocessable, match="missing_field"):
        billed.call("add_payment_method", **arguments)


def test_an_unknown_token_is_no_card(billed: Billed) -> None:
    with pytest.raises(NotFound, match="payment_method_unknown"):
        billed.add_card("pm_none")


def test_adding_a_card_needs_a_key(billed: Billed) -> None:
    with pytest.raises(BadRequest, match="idempotency_key_missing"):
        billed.add_card(key="")


def test_a_provider_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    with bank(tmp_path / "bank") as running:
        billed = Billed(tmp_path / "data", running)
        running.process.stop()
        with pytest.raises(Unavailable, match="payment_provider_unavailable"):
            billed.add_card()
        billed.world.close()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create_setup_intent", {}),
        ("add_payment_method", {"payment_method": "pm_card_visa"}),
        ("set_default_payment_method", {"payment_method_id": "pm_1"}),
        ("remove_payment_method", {"payment_method_id": "pm_1"}),
    ],
)
def test_who_may_only_look_changes_no_cards(
    billed: Billed, method: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(NotAllowed, match="role_required"):
        billed.call(method, roles=(VIEWER,), **arguments)


# ── Keeping cards ─────────────────────────────────────────────────────────────────────────────────


def test_the_default_can_be_changed_and_is_inherited(billed: Billed) -> None:
    first, second = billed.add_card()["id"], billed.add_card("pm_card_mastercard")["id"]
    assert listed(billed) == [(first, True), (second, False)]

    assert billed.call("set_default_payment_method", payment_method_id=second)["default"]
    assert listed(billed) == [(first, False), (second, True)]

    billed.call("remove_payment_method", payment_method_id=second)
    assert listed(billed) == [(first, True)]


def test_a_removed_card_is_forgotten_by_the_provider(billed: Billed) -> None:
    card = billed.add_card()["id"]
    billed.settle()
    provider_id = billed.last(PaymentMethodAdded).provider_id
    assert billed.bank.customer_of(provider_id)

    billed.call("remove_payment_method", payment_method_id=card)
    billed.settle()

    assert billed.bank.customer_of(provider_id) is None


def test_a_card_of_a_running_charge_is_in_use(billed: Billed) -> None:
    card = billed.add_card("pm_card_authenticationRequired")["id"]
    billed.reserve()
    billed.settle()
    with pytest.raises(Conflict, match="payment_method_in_use"):
        billed.call("remove_payment_method", payment_method_id=card)

    billed.fail()
    billed.settle()
    billed.call("remove_payment_method", payment_method_id=card)
    assert listed(billed) == []


@pytest.mark.parametrize("method", ["set_default_payment_method", "remove_payment_method"])
def test_a_card_of_another_account_is_unknown(billed: Billed, method: str) -> None:
    card = billed.add_card()["id"]
    other = billed.open_account()
    for account, wanted in ((other, card), (billed.account, "pm_none")):
        with pytest.raises(NotFound, match="payment_method_unknown"):
            billed.call(method, payment_method_id=wanted, account=account)
    assert listed(billed) == [(card, True)]


# ── Charges ───────────────────────────────────────────────────────────────────────────────────────


def test_charges_are_listed_newest_first_and_by_order(billed: Billed) -> None:
    billed.add_card()
    ids = [billed.reserve(name) for name in ("1", "2", "3")]
    billed.settle()
    page = billed.call("list_charges", limit=2)
    rest = billed.call("list_charges", limit=2, after=page["next"])

    assert [charge["id"] for charge in page["data"] + rest["data"]] == ids[::-1]
    only = billed.call("list_charges", order_id=billed.order("2"))["data"]
    assert [charge["id"] for charge in only] == [ids[1]]


@pytest.mark.parametrize("method", ["get_charge", "get_payment_action"])
def test_a_charge_of_another_account_is_unknown(billed: Billed, method: str) -> None:
    billed.add_card()
    charge_id = billed.reserve()
    billed.settle()
    other = billed.open_account()

    with pytest.raises(PbxError, match="charge_unknown"):
        billed.call(method, charge_id=charge_id, account=other)
    assert billed.call("list_charges", account=other)["data"] == []


def test_the_views_can_be_rebuilt(billed: Billed) -> None:
    billed.add_card()
    billed.add_card("pm_card_mastercard")
    billed.reserve()
    billed.settle()
    billed.ask_refund(200, "1")
    billed.settle()
    seen = [billed.call(m) for m in ("get_account", "list_payment_methods", "list_charges")]

    for projection in billed.world.assembly.projections():
        projection.rebuild()
    billed.settle()

    assert [billed.call(m) for m in ("get_account", "list_payment_methods", "list_charges")] == seen

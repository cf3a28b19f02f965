"""Two accounts over RPC: every method of every service is called with what belongs to the other."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from deploy.ground import all_specs
from shared.errors import PbxError
from shared.rpc import OWNER, VIEWER, CallContext, methods
from tests.integration.gateway.sites import Caller, Site
from tests.integration.gateway.test_gateway_tenants import things_of

CSV = "country,region\n"
NOTHING_THERE = "nothing of theirs"


def calls(theirs: dict[str, Any], offer_id: str) -> dict[str, tuple[dict[str, Any], str]]:
    """Arguments for each method, and the code it has to refuse them with; ``NOTHING_THERE`` where
    the answer may not contain anything of the other account."""
    item = {"offer_id": offer_id, "quantity": 1}
    return {
        "inventory.list_countries": ({}, NOTHING_THERE),
        "inventory.search_available": ({"country": "US"}, NOTHING_THERE),
        "inventory.suggest_cities": ({"country": "US"}, NOTHING_THERE),
        "inventory.count_without": ({"country": "US", "city": "Nowhere"}, NOTHING_THERE),
        "inventory.look_up_items": ({"items": [{"number": theirs["number"]}]}, NOTHING_THERE),
        "inventory.list_offer_numbers": ({"offer_id": offer_id}, NOTHING_THERE),
        "inventory.hold_numbers": ({"items": [{"number": theirs["number"]}]}, "number_gone"),
        "inventory.get_hold": ({"hold_id": theirs["quote_id"]}, "quote_unknown"),
        "inventory.extend_hold": ({"hold_id": theirs["quote_id"]}, "quote_unknown"),
        "inventory.release_hold": ({"hold_id": theirs["quote_id"]}, "quote_unknown"),
        "inventory.import_stock": ({"csv": CSV}, "staff_only"),
        "inventory.get_job": ({"job_id": theirs["job_id"]}, "job_unknown"),
        "inventory.get_stock": ({}, "staff_only"),
        "inventory.get_stock_overview": ({}, "staff_only"),
        # Accepted, because only inventory knows whose quote it is: it fails, see below.
        "orders.place_order": (
            {"items": [item], "payment_method_id": theirs["payment_method_id"]},
            NOTHING_THERE,
        ),
        "orders.get_order": ({"order_id": theirs["order_id"]}, "order_unknown"),
        "orders.list_orders": ({}, NOTHING_THERE),
        "orders.confirm_payment": ({"order_id": theirs["order_id"]}, "order_unknown"),
        "orders.refund_order": ({"order_id": theirs["order_id"]}, "staff_only"),
        "orders.list_operator_orders": ({}, "staff_only"),
        "orders.get_operator_order": ({"order_id": theirs["order_id"]}, "staff_only"),
        "orders.check_order_charge": (
            {"order_id": theirs["order_id"], "reason": "mine"},
            "staff_only",
        ),
        "orders.give_up_order": ({"order_id": theirs["order_id"], "reason": "mine"}, "staff_only"),
        "orders.get_number": ({"number_or_num_id": theirs["number"]}, "number_unknown"),
        "orders.list_numbers": ({"q": theirs["number"]}, NOTHING_THERE),
        "orders.count_numbers": ({"q": theirs["number"]}, NOTHING_THERE),
        "orders.last_change": ({}, NOTHING_THERE),
        "orders.set_description": (
            {"num_id": theirs["num_id"], "description": "mine now"},
            "number_unknown",
        ),
        "routing.get_route": ({"number_or_num_id": theirs["num_id"]}, "number_unknown"),
        "routing.set_labels": ({"num_id": theirs["num_id"], "labels": ["mine"]}, "number_unknown"),
        "porting.check_portability": (
            {"country": "US", "numbers": ["+12125559999"]},
            NOTHING_THERE,
        ),
        "billing.open_account": (
            {"name": "A", "email": "a@example.com", "country": "US"},
            "staff_only",
        ),
        "billing.get_account": ({"account_id": theirs["account_id"]}, "account_unknown"),
        "billing.list_accounts": ({}, "staff_only"),
        "billing.create_setup_intent": ({}, NOTHING_THERE),
        "billing.add_payment_method": (
            {"setup_intent_id": theirs["setup_intent_id"]},
            "payment_method_unknown",
        ),
        "billing.list_payment_methods": ({}, NOTHING_THERE),
        "billing.set_default_payment_method": (
            {"payment_method_id": theirs["payment_method_id"]},
            "payment_method_unknown",
        ),
        "billing.remove_payment_method": (
            {"payment_method_id": theirs["payment_method_id"]},
            "payment_method_unknown",
        ),
        "billing.list_charges": ({"order_id": theirs["order_id"]}, NOTHING_THERE),
        "billing.get_charge": ({"charge_id": theirs["charge_id"]}, "charge_unknown"),
        "billing.get_payment_action": ({"charge_id": theirs["charge_id"]}, "charge_unknown"),
        "billing.get_balance": ({}, NOTHING_THERE),
        "billing.pay_owed": (
            {"currency": "USD", "payment_method_id": theirs["payment_method_id"]},
            "nothing_owed",
        ),
        "billing.confirm_owed_payment": ({"charge_id": theirs["charge_id"]}, "charge_unknown"),
        "billing.refund": ({"charge_id": theirs["charge_id"]}, "staff_only"),
        "billing.receive_webhook": ({"body": "{}", "signature": "t=1"}, "webhook_signature_wrong"),
    }


def context(account_id: str, role: str) -> CallContext:
    return CallContext(
        account_id=account_id,
        actor="key:intruder",
        roles=(role,),
        correlation_id="req_intruder",
        key=uuid.uuid4().hex,
    )


def everything_of(shop: Site, owner: Caller) -> dict[str, Any]:
    found = things_of(shop, owner)
    intent = owner.post("/v1/payment-methods/setup-intents", {}).json
    number = owner.get(f"/v1/numbers/{found['number']}").json
    job = shop.staff().ask(
        "POST",
        "/v1/stock/imports",
        data="country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,"
        "min_period_months,per_minute,connect_fee,currency,billing_increments\n"
        "US,NY,Albany,518,geographic,+15185559900,1,false,1.00,2.00,1,0.0085,0.0000,USD,60/1\n",
        headers={"Content-Type": "text/csv", "Idempotency-Key": "job"},
    )
    more = {"setup_intent_id": intent["id"], "num_id": number["num_id"], "job_id": job.json["id"]}
    return found | more


def outcome(shop: Site, name: str, account_id: str, role: str, arguments: Any) -> tuple[str, Any]:
    service, method = name.split(".")
    try:
        found = shop.world.client.call(service, method, context(account_id, role), **arguments)
    except PbxError as error:
        return error.code, None
    return NOTHING_THERE, found


def test_every_method_refuses_what_belongs_to_another_account(shop: Site) -> None:
    victim = shop.customer("pm_card_visa")
    theirs = everything_of(shop, victim)
    intruder = shop.customer("pm_card_visa")
    shop.settle()
    before = [e for e in shop.world.happened() if e.stored.account_id == victim.account_id]
    table = calls(theirs, shop.offer()["offer_id"])
    offered = {
        f"{spec.name}.{name}"
        for spec in all_specs()
        for name in methods(spec.rpc(shop.world.runtime))
    }
    assert set(table) == offered  # A new method needs a line above.
    secrets = [theirs[n] for n in theirs if n != "job_id"]

    for name, (arguments, wanted) in table.items():
        for role in (OWNER, VIEWER):
            code, found = outcome(shop, name, intruder.account_id, role, arguments)
            assert code in {wanted, "role_required"}, name
            shown = json.dumps(found, default=str)
            assert not [s for s in secrets if s in shown and s not in json.dumps(arguments)], name
        assert outcome(shop, name, intruder.account_id, OWNER, arguments)[0] == wanted, name
    shop.settle()

    after = [e for e in shop.world.happened() if e.stored.account_id == victim.account_id]
    assert [e.id for e in after] == [e.id for e in before]


@pytest.mark.parametrize("stolen", ["quote_id", "payment_method_id"])
def test_an_order_on_something_of_another_account_fails_and_touches_nothing(
    shop: Site, stolen: str
) -> None:
    victim = shop.customer("pm_card_visa")
    theirs = everything_of(shop, victim)
    intruder = shop.customer("pm_card_visa")
    shop.settle()
    before = [e.id for e in shop.world.happened() if e.stored.account_id == victim.account_id]
    arguments: dict[str, Any] = {stolen: theirs[stolen]}
    if stolen == "payment_method_id":
        arguments["items"] = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]

    code, placed = outcome(shop, "orders.place_order", intruder.account_id, OWNER, arguments)
    assert code == NOTHING_THERE
    shop.settle()

    order = intruder.get(f"/v1/orders/{placed['id']}").json
    wanted = {"quote_id": "quote_unknown", "payment_method_id": "payment_method_required"}
    assert (order["status"], order["failure"]["code"]) == ("failed", wanted[stolen])
    after = [e.id for e in shop.world.happened() if e.stored.account_id == victim.account_id]
    assert after == before
    assert victim.get(f"/v1/quotes/{theirs['quote_id']}").json["status"] == "open"

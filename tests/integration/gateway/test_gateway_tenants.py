"""Two accounts: nothing of one can be seen or touched by the other, over every route with an id."""

from __future__ import annotations

import re

from services.gateway.identity import Who
from tests.integration.gateway.sites import Caller, Site, code
from tests.integration.gateway.test_gateway_buying import buy
from tests.integration.gateway.test_gateway_declarations import OPERATIONS

BODIES = {
    "change_number": {"description": "mine now"},
    "refund_order": {},
}
# Ids that belong to nobody in particular: what is on sale.
PUBLIC_IDS = {"offer_id"}


def things_of(shop: Site, owner: Caller) -> dict[str, str]:
    """One thing of each kind that the account has, by the name of the path's part."""
    order = buy(shop, owner).json["id"]
    number = owner.get("/v1/numbers").json["data"][0]
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    user = owner.post("/v1/users", {"email": f"{owner.account_id}@example.com"})
    quote = owner.post("/v1/quotes", body)
    shop.settle()
    return {
        "quote_id": quote.json["id"],
        "order_id": order,
        "payment_method_id": owner.get("/v1/payment-methods").json["data"][0]["id"],
        "charge_id": owner.get(f"/v1/orders/{order}").json["charge_id"],
        "number": number["number"],
        "account_id": owner.account_id,
        "user_id": user.json["id"],
        "key_id": owner.post("/v1/api-keys", {}).json["id"],
    }


def test_nothing_of_another_account_is_there(shop: Site) -> None:
    theirs = things_of(shop, shop.customer("pm_card_visa"))
    intruder = shop.customer("pm_card_visa")
    shop.settle()
    before = shop.world.log.head()
    tried = set()
    for operation in OPERATIONS:
        parts = set(re.findall(r"{(\w+)}", operation.template))
        if not parts or parts <= PUBLIC_IDS or operation.who in {Who.ANYONE, Who.STAFF}:
            continue
        if parts == {"job_id"}:  # Jobs are staff's; a customer has none.
            theirs["job_id"] = "job_1"
        path = operation.template.format(**theirs)
        answer = intruder.ask(operation.method, path, json=BODIES.get(operation.name))
        assert answer.status_code == 404, (operation.name, answer.text)
        assert code(answer).endswith("_unknown")
        tried.add(operation.name)
    assert len(tried) >= 15
    assert shop.world.log.head() == before


def test_lists_show_the_own_things_only(shop: Site) -> None:
    things_of(shop, shop.customer("pm_card_visa"))
    intruder = shop.customer()
    assert intruder.get("/v1/balance").json == {"currencies": []}
    for path in ("/v1/orders", "/v1/payment-methods", "/v1/charges", "/v1/users"):
        found = intruder.get(path).json["data"]
        own = [one for one in found if one.get("kind") == "free" or one.get("email")]
        assert found == own, path
    assert all(one["origin"] == "free" for one in intruder.get("/v1/numbers").json["data"])
    assert "purchased" not in intruder.get("/v1/numbers.csv").text


def test_another_accounts_card_or_quote_cannot_be_used_to_buy(shop: Site) -> None:
    theirs = things_of(shop, shop.customer("pm_card_visa"))
    intruder = shop.customer("pm_card_visa")
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]
    body = {"items": items, "payment_method_id": theirs["payment_method_id"]}
    assert code(intruder.post("/v1/orders", body)) == "payment_method_unknown"
    assert code(intruder.post("/v1/orders", {"quote_id": theirs["quote_id"]})) == "quote_unknown"

"""Search, quotes, cards, orders: through HTTP, against the real services and a payment provider."""

from __future__ import annotations

import contextlib
import hmac
import json
import threading
import time
from typing import Any

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from services.gateway import middleware
from services.gateway.state import idempotency, run
from tests.integration.gateway.sites import Caller, Site, code, problem


def buy(shop: Site, caller: Caller, quantity: int = 1, **more: Any) -> TestResponse:
    """Orders numbers of New York and lets everything happen that follows."""
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": quantity}]
    answer = caller.post("/v1/orders", {"items": items, **more})
    shop.settle()
    return answer


def test_search_shows_offers_with_money_as_decimal_strings(shop: Site) -> None:
    found = shop.caller("acct_1").get("/v1/available-numbers?country=US").json
    assert [row["city"] for row in found["data"]] == ["Albany", "New York"]
    offer = found["data"][1]
    assert offer["unit_cost"] == {"amount": "1.26", "currency": "USD"}
    assert (offer["available"], offer["max_quantity"]) == (50, 10)
    assert found["has_more"] is False


def test_search_pages_with_a_cursor(shop: Site) -> None:
    caller = shop.caller("acct_1")
    first = caller.get("/v1/available-numbers?country=US&limit=1").json
    assert first["has_more"] is True
    path = f"/v1/available-numbers?country=US&limit=1&cursor={first['next_cursor']}"
    assert [row["city"] for row in caller.get(path).json["data"]] == ["New York"]
    assert code(caller.get("/v1/available-numbers?country=US&cursor=%2A")) == "invalid_cursor"


def test_an_unknown_country_is_an_empty_list_and_none_is_an_error(shop: Site) -> None:
    caller = shop.caller("acct_1")
    assert caller.get("/v1/available-numbers?country=ZZ").json["data"] == []
    assert problem(caller.get("/v1/available-numbers"))["param"] == "country"


def test_the_numbers_of_an_offer_are_listed(shop: Site) -> None:
    path = f"/v1/available-numbers/{shop.offer()['offer_id']}/numbers?contains=0107"
    found = shop.caller("acct_1").get(path).json["data"]
    assert found == [{"number": "+12125550107", "display": "+1 (212) 555-01-07"}]
    assert code(shop.staff().get("/v1/available-numbers/off_none/numbers")) == "offer_unknown"


def test_countries_are_those_of_the_stock(shop: Site) -> None:
    found = shop.caller("acct_1").get("/v1/countries").json["data"]
    assert {row["code"] for row in found} == {"NL", "US"}


def test_an_import_is_a_job_whose_rows_add_up(shop: Site) -> None:
    headers = {"Idempotency-Key": "again", "Content-Type": "text/csv"}
    from tests.integration.gateway.sites import STOCK

    wrong = STOCK + "US,NY,Buffalo,716,geographic,+12125559999,5,true,0,1,1,0,0,USD,60/1\n"
    job = shop.staff().ask("POST", "/v1/stock/imports", data=wrong, headers=headers)
    assert job.status_code == 202
    shop.settle()
    done = shop.staff().get(f"/v1/jobs/{job.json['id']}").json
    assert done["status"] == "done"
    assert done["total"] == done["succeeded"] + done["failed"] == 4
    assert [row["code"] for row in done["rows"] if row["code"] != "unchanged"] == [
        "area_code_mismatch"
    ]


def test_a_stock_file_is_text_csv(shop: Site) -> None:
    headers = {"Idempotency-Key": "x", "Content-Type": "application/json"}
    answer = shop.staff().ask("POST", "/v1/stock/imports", data="{}", headers=headers)
    assert code(answer) == "unsupported_media_type"
    headers = {"Idempotency-Key": "y", "Content-Type": "text/csv"}
    answer = shop.staff().ask("POST", "/v1/stock/imports", data=b"\xff\xfe", headers=headers)
    assert code(answer) == "invalid_value"


def test_a_quote_holds_numbers_at_a_price(shop: Site) -> None:
    caller = shop.customer()
    before = shop.offer()["available"]
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 2}]}
    quote = caller.post("/v1/quotes", body)
    assert quote.status_code == 201
    assert quote.json["due_now"] == {"amount": "2.52", "currency": "USD"}
    assert len(quote.json["numbers"]) == 2
    assert int(quote.headers["Log-Position"]) > 0
    assert "position" not in quote.json
    shop.settle()
    assert shop.offer()["available"] == before - 2
    path = f"/v1/quotes/{quote.json['id']}"
    assert caller.get(path).json["status"] == "open"
    shop.world.machine.forward(minutes=1)
    assert caller.post(f"{path}/extend").json["expires_at"] > quote.json["expires_at"]
    assert caller.ask("DELETE", path).status_code == 200
    shop.settle()
    assert shop.offer()["available"] == before


def test_a_repeated_quote_holds_the_same_numbers(shop: Site) -> None:
    caller = shop.customer()
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    first, again = (caller.post("/v1/quotes", body, key="k1") for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_who_comes_too_late_reads_nothing_older_afterwards(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "FRESH_SECONDS", 0.05)
    numbers = f"/v1/available-numbers/{shop.offer()['offer_id']}/numbers"
    fast, late = shop.customer(), shop.customer()
    wanted = {"items": [{"number": late.get(numbers).json["data"][0]["number"]}]}
    assert fast.post("/v1/quotes", wanted).status_code == 201

    refused = late.post("/v1/quotes", wanted)

    assert (code(refused), refused.status_code) == ("number_gone", 409)
    assert int(refused.headers["Log-Position"]) == shop.world.log.head()
    # Nothing has stepped the views here: what they show is marked as older than what was told.
    assert late.get(numbers).headers["Read-Model-Behind"] == "true"
    shop.settle()
    again = late.get(numbers)
    assert "Read-Model-Behind" not in again.headers
    assert wanted["items"][0]["number"] not in {row["number"] for row in again.json["data"]}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"offer_id": "off_none", "quantity": 1}], "offer_unknown"),
        ([{"offer_id": "A", "quantity": 0}], "quantity_invalid"),
        ([{"number": "nonsense"}], "number_invalid"),
        ([{"quantity": 1}], "items_invalid"),
        ([{"offer_id": "A", "number": "+12125550100"}], "items_invalid"),
        ([{"number": "+15185550199"}], "number_gone"),
    ],
)
def test_what_cannot_be_held_is_refused(shop: Site, items: Any, expected: str) -> None:
    assert code(shop.customer().post("/v1/quotes", {"items": items})) == expected


def test_an_order_without_a_card_is_refused_before_anything_is_held(shop: Site) -> None:
    caller = shop.customer()
    before = shop.world.log.head()
    answer = buy(shop, caller)
    assert code(answer) == "payment_method_required"
    assert answer.status_code == 402
    assert shop.world.log.head() == before


def test_after_adding_a_card_the_same_key_buys(shop: Site) -> None:
    caller = shop.customer()
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    assert code(caller.post("/v1/orders", body, key="k1")) == "payment_method_required"
    caller.post("/v1/payment-methods", {"payment_method": "pm_card_visa"})
    shop.settle()
    assert caller.post("/v1/orders", body, key="k1").status_code == 201


def test_a_card_that_is_not_mine_is_unknown(shop: Site) -> None:
    answer = buy(shop, shop.customer("pm_card_visa"), payment_method_id="pm_none")
    assert code(answer) == "payment_method_unknown"


def test_buying_ends_with_numbers(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    placed = buy(shop, caller, 2)
    assert placed.status_code == 201
    order = caller.get(f"/v1/orders/{placed.json['id']}").json
    assert order["status"] == "fulfilled"
    assert order["total"] == {"amount": "2.52", "currency": "USD"}
    assert [n["status"] for n in order["numbers"]] == ["purchased"] * 2
    mine = caller.get("/v1/numbers").json["data"]
    assert {n["num_id"] for n in mine} >= {n["num_id"] for n in order["numbers"]}
    charge = caller.get(f"/v1/charges/{order['charge_id']}")
    assert charge.status_code == 200
    assert caller.get(f"/v1/charges?order_id={order['id']}").json["data"][0]["id"]


def test_a_quote_can_be_ordered_once(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    quote = caller.post("/v1/quotes", body).json["id"]
    shop.settle()
    first = caller.post("/v1/orders", {"quote_id": quote}, key="k1")
    assert first.status_code == 201
    shop.settle()
    assert code(caller.post("/v1/orders", {"quote_id": quote}, key="k2")) == "quote_used"
    assert caller.post("/v1/orders", {"quote_id": quote}, key="k1").json == first.json


def test_quotes_that_are_over_or_never_were_are_told_apart(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    quote = caller.post("/v1/quotes", body).json["id"]
    shop.world.machine.forward(minutes=11)
    over = caller.post("/v1/orders", {"quote_id": quote})
    assert (code(over), over.status_code) == ("quote_expired", 410)
    never = caller.post("/v1/orders", {"quote_id": "qt_none"})
    assert (code(never), never.status_code) == ("quote_unknown", 404)


def test_an_order_names_a_quote_or_items(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    assert code(caller.post("/v1/orders", {})) == "items_invalid"
    both = {"quote_id": "qt_1", "items": [{"number": "+12125550100"}]}
    assert code(caller.post("/v1/orders", both)) == "items_invalid"


def test_a_declined_card_fails_the_order_and_gives_the_numbers_back(shop: Site) -> None:
    caller = shop.customer("pm_card_chargeCustomerFail")
    before = shop.offer()["available"]
    placed = buy(shop, caller)
    order = caller.get(f"/v1/orders/{placed.json['id']}").json
    assert (order["status"], order["failure"]["code"]) == ("failed", "card_declined")
    assert shop.offer()["available"] == before


def test_three_d_secure_shows_what_the_browser_has_to_do(shop: Site) -> None:
    caller = shop.customer("pm_card_authenticationRequired")
    placed = buy(shop, caller)
    order = caller.get(f"/v1/orders/{placed.json['id']}").json
    assert order["status"] == "action_required"
    assert order["payment_action"]["type"] == "three_d_secure"
    assert order["payment_action"]["client_secret"]
    assert order["payment_action"]["expires_at"].endswith("Z")
    confirmed = caller.post(f"/v1/orders/{order['id']}/payment-confirmation")
    assert confirmed.status_code == 200


def test_cards_are_added_made_default_and_removed(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    second = caller.post("/v1/payment-methods", {"payment_method": "pm_card_mastercard"}).json
    shop.settle()
    assert second["default"] is False
    path = f"/v1/payment-methods/{second['id']}"
    assert caller.ask("PUT", f"{path}/default").json["default"] is True
    shop.settle()
    assert caller.ask("DELETE", path).status_code == 204
    shop.settle()
    (left,) = caller.get("/v1/payment-methods").json["data"]
    assert (left["brand"], left["default"]) == ("visa", True)
    assert code(caller.ask("DELETE", "/v1/payment-methods/pm_none")) == "payment_method_unknown"


def test_a_card_the_bank_refuses_is_not_added(shop: Site) -> None:
    body = {"payment_method": "pm_card_visa_chargeDeclined"}
    answer = shop.customer().post("/v1/payment-methods", body)
    assert (code(answer), answer.status_code) == ("card_declined", 402)


def test_a_setup_intent_lets_the_browser_enter_a_card(shop: Site) -> None:
    made = shop.customer().post("/v1/payment-methods/setup-intents")
    assert made.status_code == 201
    assert made.json["client_secret"]
    missing = shop.customer().post("/v1/payment-methods", {})
    assert code(missing) == "missing_field"


def test_staff_gives_money_back(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    order = buy(shop, caller).json["id"]
    body = {"amount": {"amount": "0.50", "currency": "USD"}, "reason": "a gift"}
    answer = shop.staff().post(f"/v1/orders/{order}/refunds", body)
    assert answer.status_code == 200, answer.text
    shop.settle()
    refunded = caller.get(f"/v1/orders/{order}").json["refunded_total"]
    assert refunded == {"amount": "0.50", "currency": "USD"}
    too_much = {"amount": {"amount": "100", "currency": "USD"}}
    answer = shop.staff().post(f"/v1/orders/{order}/refunds", too_much)
    assert code(answer) == "refund_too_large"


def test_staff_buys_for_an_account_it_names(shop: Site) -> None:
    customer = shop.customer("pm_card_visa")
    staff = shop.staff()
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]
    assert code(staff.post("/v1/orders", {"items": items})) == "account_needed"
    acting = {"Pbx-Account": customer.account_id}
    placed = staff.post("/v1/orders", {"items": items}, headers=acting)
    assert placed.status_code == 201, placed.text
    shop.settle()
    assert customer.get(f"/v1/orders/{placed.json['id']}").json["status"] == "fulfilled"
    nobody = staff.get("/v1/orders", headers={"Pbx-Account": "acct_none"})
    assert code(nobody) == "account_unknown"
    assert code(customer.get("/v1/orders", headers={"Pbx-Account": "acct_2"})) == "staff_only"


def test_waiting_for_an_order_answers_when_it_has_ended(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]
    shop.start()
    placed = caller.post("/v1/orders?wait=20", {"items": items})
    assert placed.json["status"] == "fulfilled", placed.text
    listed = caller.get("/v1/numbers").json["data"]
    assert placed.json["numbers"][0]["num_id"] in {row["num_id"] for row in listed}


def test_at_most_sixteen_wait_and_the_others_are_answered_at_once(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]
    waiters = shop.app.extensions["pbxim"].waiters
    with contextlib.ExitStack() as places:
        assert all(places.enter_context(waiters.place()) for _ in range(16))
        began = time.monotonic()
        placed = caller.post("/v1/orders?wait=30", {"items": items}, key="k1")
        assert time.monotonic() - began < 15
    assert (placed.status_code, placed.json["status"]) == (201, "placed")
    shop.settle()
    again = caller.post("/v1/orders?wait=30", {"items": items}, key="k1")
    assert again.json["id"] == placed.json["id"]
    shown = caller.get(f"/v1/orders/{placed.json['id']}").json
    assert shown["status"] == "fulfilled"


def test_a_wait_is_at_most_thirty_seconds(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    found = problem(caller.post("/v1/orders?wait=31", {"items": [{"number": "+12125550100"}]}))
    assert (found["code"], found["param"]) == ("invalid_value", "wait")


def test_two_requests_with_one_key_at_once_make_one_order(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    answers: list[TestResponse] = []
    start = threading.Barrier(4, timeout=30)

    def order() -> None:
        one = Caller(shop.app.test_client(), caller.key)
        start.wait()
        answers.append(one.post("/v1/orders", body, key="k1"))

    threads = [threading.Thread(target=order) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {a.status_code for a in answers} <= {201, 409}
    assert len({a.json["id"] for a in answers if a.status_code == 201}) == 1
    shop.settle()
    assert len(caller.get("/v1/orders").json["data"]) == 1 + _free_orders(caller)


def _free_orders(caller: Caller) -> int:
    return sum(o["kind"] == "free" for o in caller.get("/v1/orders").json["data"])


@pytest.mark.parametrize("by", ["quote", "items"])
def test_an_order_whose_answer_was_lost_is_found_again_by_its_key(shop: Site, by: str) -> None:
    caller = shop.customer("pm_card_visa")
    body: dict[str, Any] = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    if by == "quote":
        body = {"quote_id": caller.post("/v1/quotes", body).json["id"]}
        shop.settle()
    first = caller.post("/v1/orders", body, key="k1")
    shop.settle()
    # As a process that died after the command and before it stored the answer leaves it.
    run(shop.world.state, update(idempotency).values(answer=None))
    assert code(caller.post("/v1/orders", body, key="k1")) == "idempotency_key_in_use"
    shop.world.machine.forward(seconds=31)
    again = caller.post("/v1/orders", body, key="k1")
    assert again.status_code == 201, again.text
    assert again.json["id"] == first.json["id"]
    assert "Idempotent-Replayed" not in again.headers
    shop.settle()
    assert len(caller.get("/v1/orders").json["data"]) == 1 + _free_orders(caller)


CURSORS = ["!", "MTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA", "LTU", "2aM", "x" * 200, "W10"]


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_cursor_that_is_not_ours_is_refused_by_every_list(shop: Site, cursor: str) -> None:
    lists = [
        "/v1/available-numbers?country=US&",
        f"/v1/available-numbers/{shop.offer()['offer_id']}/numbers?",
        "/v1/orders?",
        "/v1/numbers?",
        "/v1/charges?",
        "/v1/accounts?",
        "/v1/outbox?",
        "/v1/stock?",
    ]
    staff = shop.staff()
    for path in lists:
        found = problem(staff.get(f"{path}cursor={cursor}"))
        assert (found["code"], found["param"]) == ("invalid_cursor", "cursor"), path


def test_a_reader_who_was_told_of_a_change_is_told_when_the_view_is_behind(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]
    placed = caller.post("/v1/orders", {"items": items})
    behind = caller.get("/v1/orders")
    assert behind.headers["Read-Model-Behind"] == "true"
    shop.settle()
    fresh = caller.get("/v1/orders")
    assert "Read-Model-Behind" not in fresh.headers
    assert placed.json["id"] in {one["id"] for one in fresh.json["data"]}


def test_another_key_of_the_account_sees_the_change_as_well(shop: Site) -> None:
    caller = shop.customer("pm_card_visa")
    other = shop.caller(caller.account_id, "viewer")
    shop.start()
    for n in range(5):
        made = caller.post("/v1/quotes", {"items": [{"number": f"+1212555012{n}"}]}).json
        placed = caller.post("/v1/orders", {"quote_id": made["id"]}).json
        assert other.get(f"/v1/orders/{placed['id']}").status_code == 200


@pytest.mark.parametrize("path", ["/v1/webhooks/stripe", "/webhooks/stripe"])
def test_a_report_of_the_payment_provider_needs_its_signature(shop: Site, path: str) -> None:
    body = json.dumps({"id": "evt_1", "object": "event", "type": "customer.created", "data": {}})
    unsigned = shop.visitor.post(path, data=body, content_type="application/json")
    assert code(unsigned) == "webhook_signature_wrong"
    headers = {"Stripe-Signature": "t=1,v1=00"}
    forged = shop.visitor.post(path, data=body, headers=headers, content_type="application/json")
    assert code(forged) == "webhook_signature_wrong"
    at = int(time.time())
    mac = hmac.new(b"whsec_gateway", f"{at}.{body}".encode(), "sha256").hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={mac}"}
    signed = shop.visitor.post(path, data=body, headers=headers, content_type="application/json")
    assert signed.status_code == 200, signed.text

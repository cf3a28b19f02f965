"""The log of a real purchase, walked against the table of docs/explanation/purchase.md."""

from __future__ import annotations

from typing import Any

from shared.codec import decode_meta
from shared.eventlog import Recorded
from tests.contract.payment_servers import wait_until
from tests.support.product import ApiClient, Product

# Who says what, and the event it answers to. "customer": a command from the edge.
TABLE = (
    ("HoldAsked", "customer"),
    ("NumberHeld", "customer"),
    ("NumberHeld", "customer"),
    ("NumbersHeld", "customer"),
    ("OrderPlaced", "customer"),
    ("HoldPinned", "OrderPlaced"),
    ("OrderReserved", "HoldPinned"),
    ("ChargeRequested", "OrderReserved"),
    ("ChargeSucceeded", "ChargeRequested"),
    ("OrderPaid", "ChargeSucceeded"),
    ("NumberAllocated", "OrderPaid"),
    ("NumberAllocated", "OrderPaid"),
    ("HoldAllocated", "OrderPaid"),
    ("NumberPurchased", "HoldAllocated"),
    ("NumberPurchased", "HoldAllocated"),
    ("OrderFulfilled", "HoldAllocated"),
)
# Below what the payment provider takes at once the charge is deferred, and all else is the same.
OWED = {"ChargeRequested": None, "ChargeSucceeded": "ChargeDeferred"}
HEAD = (
    "country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,"
    "min_period_months,per_minute,connect_fee,currency,billing_increments\n"
)
CHEAP = "US,NY,Buffalo,716,geographic,+17168560100,20,true,0.00,0.20,1,0.0085,0.00,USD,60/1\n"


def buy(client: ApiClient, quantity: int, city: str = "") -> dict[str, Any]:
    """One purchase by quote and order."""
    path = f"/v1/available-numbers?country=US&type=geographic&city={city}"
    offers = client.get(path).body["data"]
    item = {"offer_id": offers[0]["offer_id"], "quantity": quantity}
    quote = client.post("/v1/quotes", {"items": [item]})
    assert quote.status == 201, quote
    order = client.post("/v1/orders?wait=20", {"quote_id": quote.body["id"]})
    assert order.status == 201, order
    found: dict[str, Any] = order.body
    return found


def events_about(product: Product, order: dict[str, Any]) -> list[Recorded]:
    """Every event of the order, its hold, its charge and its numbers, in order."""
    log = product.events()
    about = [order["id"], order["quote_id"], order["charge_id"]]
    marks = [text.encode() for text in about]
    found = [e for e in log.read_all(0, 1_000_000) if any(m in e.payload for m in marks)]
    log.close()
    return found


def test_the_log_of_a_purchase_is_the_table_of_the_documentation(product: Product) -> None:
    order = buy(product.open_account(), 2)
    assert order["status"] == "fulfilled"

    events = events_about(product, order)
    names = {f"evt_{e.event_id.hex()}": e.type for e in events}
    causes = [names.get(decode_meta(e.metadata).causation_id, "customer") for e in events]
    walked = list(zip([e.type for e in events], causes, strict=True))

    assert [step for step in walked if step in set(TABLE)] == list(TABLE)
    assert {e.type for e in events} - {name for name, _ in TABLE} == set()


def test_the_log_of_a_purchase_below_the_minimum_has_no_charge_but_a_debt(
    product: Product,
) -> None:
    staff = product.staff()
    headers = {"Content-Type": "text/csv"}
    job = staff.ask("POST", "/v1/stock/imports", HEAD + CHEAP, key="cheap", headers=headers)
    wait_until(lambda: staff.get(f"/v1/jobs/{job.body['id']}").body["status"] == "done")
    order = buy(product.open_account(), 2, "Buffalo")
    assert order["status"] == "fulfilled", order

    told = [e.type for e in events_about(product, order)]
    expected = [OWED.get(name, name) for name, _ in TABLE]

    assert told == [name for name in expected if name is not None]


def test_one_correlation_id_runs_through_the_whole_order(product: Product) -> None:
    order = buy(product.open_account(), 1)
    events = events_about(product, order)
    ordered = [e for e in events if order["id"].encode() in e.payload]

    assert len({decode_meta(e.metadata).correlation_id for e in ordered}) == 1


def test_a_purchase_costs_less_than_15_kilobytes_of_log(product: Product) -> None:
    order = buy(product.open_account(), 1)
    events = events_about(product, order)
    size = sum(len(e.payload) + len(e.metadata) + len(e.stream) + 100 for e in events)

    assert 3_000 < size < 15_000

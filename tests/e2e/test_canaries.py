"""Names that must not be found anywhere in the clear, searched for byte by byte."""

from __future__ import annotations

import uuid

from tests.e2e.test_buying import ended, order_of
from tests.support.product import ApiClient, Product


def test_personal_data_is_nowhere_in_the_log_nor_in_what_the_product_says(
    product: Product,
) -> None:
    canary = "Zzyx" + uuid.uuid4().hex[:12]
    wanted = {"name": f"{canary} Company", "email": f"{canary}@example.com", "country": "US"}
    opened = product.staff().post("/v1/accounts", wanted)
    client = ApiClient(product.demo["base_url"], opened.body["api_key"])
    client.post("/v1/payment-methods", {"payment_method": "pm_card_visa"})
    person = {"first_name": canary, "last_name": canary, "company_name": canary}
    order = client.post("/v1/orders?wait=20", order_of(client) | {"end_user": person})
    assert order.status == 201, order
    assert ended(client, order.body["id"])["status"] == "fulfilled"

    assert client.get("/v1/accounts").status in {200, 403}
    shown = product.staff().get(f"/v1/accounts/{opened.body['id']}")
    assert shown.body["name"] == f"{canary} Company"  # It is there for those who may see it.
    needles = (canary.encode(), canary.lower().encode())
    for place, content in contents(product).items():
        assert content, place
        assert not any(needle in content for needle in needles), place


def contents(product: Product) -> dict[str, bytes]:
    """The bytes of the log, and of what the product's processes and servers say."""
    found = {"what it says": product.log().encode()}
    said = (product.data / "up" / "log").glob("*.log")
    found |= {path.name: path.read_bytes() for path in said if path.stat().st_size}
    found |= {path.name: path.read_bytes() for path in product.data.glob("log.db*")}
    log = product.events()
    after, events = 0, bytearray()
    while some := log.read_all(after, 1000):
        events += b"".join(e.payload + e.metadata for e in some)
        after = some[-1].position
    log.close()
    return found | {"events": bytes(events)}


def test_secrets_are_nowhere_in_what_the_product_says(product: Product) -> None:
    said = product.log()
    for secret in (
        product.demo["api_key"],
        product.demo["staff_api_key"],
        product.demo["password"],
    ):
        assert secret not in said
    assert "sk_test_" not in said
    assert "whsec_" not in said

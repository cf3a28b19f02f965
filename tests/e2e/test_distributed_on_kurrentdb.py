"""The distributed system with its log on a server that speaks KurrentDB's protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_buying import ended, order_of
from tests.support import kurrentdb
from tests.support.product import Product

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(240)]


def test_a_number_is_bought_and_the_log_is_nowhere_else(tmp_path: Path) -> None:
    address = kurrentdb.server().address()
    product = Product(tmp_path / "var", {"PBXIM_LOG": address}, distributed=True).start()
    client = product.open_account()

    order = client.post("/v1/orders?wait=20", order_of(client))

    assert ended(client, order.body["id"])["status"] == "fulfilled"
    log = product.events()
    purchased = [e for e in log.read_last(1000) if e.type == "NumberPurchased"]
    log.close()
    assert any(order.body["id"].encode() in event.payload for event in purchased)
    product.stop()
    product.forget()

"""One order, one trace: from the HTTP request to the call of the payment provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import otlp, tracing
from shared.refusals import refusal
from tests.support.asking import until
from tests.support.collector import Collector
from tests.support.product import Product

ABOVE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def untraced() -> Iterator[None]:
    yield
    tracing.set_up(None)


@pytest.mark.slow
def test_an_order_is_one_trace_from_the_request_to_the_charge(
    collector: Collector, tmp_path: Path
) -> None:
    product = Product(tmp_path / "data", environment={"PBXIM_OTLP": collector.address}).start()
    try:
        buyer = product.customer()
        added = buyer.post("/v1/payment-methods", {"payment_method": "pm_card_visa"})
        assert added.status == 201
        offer = buyer.get("/v1/available-numbers?country=US").body["data"][0]
        items = {"items": [{"offer_id": offer["offer_id"], "quantity": 1}]}
        answer = buyer.ask(
            "POST", "/v1/orders?wait=20", items, key="traced", headers={"traceparent": ABOVE}
        )
        assert answer.body["status"] == "fulfilled"
        # Sent in batches, and a request's own span ends last, after its answer.
        request_name, charge = "POST /v1/orders", "stripe: charge"
        wanted = {request_name, charge, "FulfilOrder"}
        found = until(lambda: collector.trace("a" * 32), lambda spans: wanted <= spans.keys())
    finally:
        product.stop()

    print(sorted(found))
    request = found[request_name]
    call = found["orders.place_order"]
    assert request["parentSpanId"] == "b" * 16
    assert call["parentSpanId"] == request["spanId"]
    assert found["PlaceOrder"]["parentSpanId"] == call["spanId"]
    assert charge in found
    assert {one["spanId"] for one in found.values()} >= {found[charge]["parentSpanId"]}
    assert (request["kind"], call["kind"], found[charge]["kind"]) == (2, 3, 3)
    for one in found.values():
        assert int(one["startTimeUnixNano"]) <= int(one["endTimeUnixNano"])
        assert one["status"]["code"] == 1
    assert collector.services == {"pbxim-embedded"}


def test_a_refusal_is_an_answer_and_a_failure_is_one(collector: Collector, untraced: None) -> None:
    exporter = otlp.Exporter(collector.address, "test")
    exporter.start()
    for error in (refusal("number_gone"), refusal("internal_error"), ValueError("hush")):
        with pytest.raises(type(error)), tracing.span(str(type(error)), ABOVE):
            raise error
    exporter.close()

    outcomes = [
        (one["attributes"][0]["value"]["stringValue"], one["status"]["code"])
        for one in collector.spans
    ]
    assert outcomes == [("number_gone", 1), ("internal_error", 2), ("ValueError", 2)]
    assert "hush" not in json.dumps(collector.spans)


def test_without_a_collector_what_came_in_is_handed_on() -> None:
    with tracing.span("anything", ABOVE) as within:
        assert within == ABOVE
    assert tracing.begin("anything", "") is None


def test_whoever_does_not_want_to_be_traced_is_not(untraced: None) -> None:
    taken: list[tracing.Span] = []
    tracing.set_up(taken.append)

    with tracing.span("anything", ABOVE[:-1] + "0") as within:
        assert within == ABOVE[:-1] + "0"
    with tracing.span("anything", "no traceparent at all"):
        pass

    assert [one.parent for one in taken] == [""]


def test_a_collector_that_is_away_or_refuses_costs_spans_and_nothing_else(
    collector: Collector, untraced: None
) -> None:
    collector.status = 503
    refused = otlp.Exporter(collector.address, "test")
    away = otlp.Exporter("http://127.0.0.1:9", "test")
    for exporter in (refused, away):
        exporter.start()
        with tracing.span("anything", ABOVE):
            pass
        exporter.send()
        exporter.close()

    assert collector.spans == []

"""The numbers of an account: list, export, one number, description and labels."""

from __future__ import annotations

import csv
import io

import pytest

from services.gateway.csv_export import safe
from tests.integration.gateway.sites import Caller, Site, code


@pytest.fixture
def owner(shop: Site) -> Caller:
    """A customer with one number that was bought, and maybe a free one."""
    caller = shop.start().customer("pm_card_visa")
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]
    order = caller.post("/v1/orders?wait=20", {"items": items})
    assert order.json["status"] == "fulfilled", order.text
    return caller


def bought(owner: Caller) -> dict:
    """The number that was bought."""
    return next(n for n in owner.get("/v1/numbers").json["data"] if n["origin"] == "purchased")


def test_a_number_is_found_by_e164_and_by_id(owner: Caller) -> None:
    row = bought(owner)
    plain = owner.get(f"/v1/numbers/{row['number']}").json
    escaped = owner.get(f"/v1/numbers/%2B{row['number'][1:]}").json
    assert plain == escaped == owner.get(f"/v1/numbers/{row['num_id']}").json
    assert plain["status"] == "active"
    assert plain["call_routing"]["max_channels"] == 2
    assert plain["billing"]["monthly_cost"] == {"amount": "1.26", "currency": "USD"}
    # The world's clock stands at 31 January: the next month begins on the 28th.
    assert (plain["billing"]["start_date"], row["paid_until"]) == ("2026-01-31", "2026-02-27")
    assert plain["billing"]["paid_until"] == plain["billing"]["min_period_ends"] == "2026-02-27"


def test_description_and_labels_are_changed_and_shown_at_once(owner: Caller) -> None:
    path = f"/v1/numbers/{bought(owner)['num_id']}"
    body = {"description": "Front desk", "labels": ["INBOUND", "Priority"]}
    changed = owner.ask("PATCH", path, json=body)
    assert changed.status_code == 200
    assert int(changed.headers["Log-Position"]) > 0
    shown = owner.get(path).json
    assert (shown["description"], shown["labels"]) == ("Front desk", ["INBOUND", "Priority"])
    assert len(owner.get("/v1/numbers?label=priority").json["data"]) == 1
    assert len(owner.get("/v1/numbers?q=front").json["data"]) == 1
    assert owner.get("/v1/numbers?label=other").json["data"] == []


def test_what_is_left_out_stays(owner: Caller) -> None:
    path = f"/v1/numbers/{bought(owner)['num_id']}"
    owner.ask("PATCH", path, json={"description": "Front desk"})
    owner.ask("PATCH", path, json={"labels": ["a"]})
    assert owner.get(path).json["description"] == "Front desk"


def test_an_edit_on_an_old_version_is_refused_and_changes_nothing(owner: Caller) -> None:
    path = f"/v1/numbers/{bought(owner)['num_id']}"
    etag = owner.get(path).headers["ETag"]
    assert owner.ask("PATCH", path, json={"labels": ["first"]}).status_code == 200
    body = {"description": "late", "labels": ["second"]}
    stale = owner.ask("PATCH", path, json=body, headers={"If-Match": etag})
    assert (code(stale), stale.status_code) == ("edited_meanwhile", 412)
    found = owner.get(path)
    assert (found.json["labels"], found.json["description"]) == (["first"], "")
    fresh = owner.ask("PATCH", path, json=body, headers={"If-Match": found.headers["ETag"]})
    assert fresh.status_code == 200


def test_labels_have_a_limit(owner: Caller) -> None:
    path = f"/v1/numbers/{bought(owner)['num_id']}"
    assert code(owner.ask("PATCH", path, json={"labels": ["x" * 41]})) == "invalid_value"
    assert code(owner.ask("PATCH", path, json={"labels": [str(n) for n in range(21)]}))
    assert code(owner.ask("PATCH", path, json={"description": "\x00"})) == "invalid_value"


def test_a_number_nobody_has_is_unknown(owner: Caller) -> None:
    for name in ("+12125559999", "num_none", "nonsense"):
        assert code(owner.get(f"/v1/numbers/{name}")) == "number_unknown"


def test_the_export_has_the_rows_of_the_list(owner: Caller) -> None:
    row = bought(owner)
    path = f"/v1/numbers/{row['num_id']}"
    owner.ask("PATCH", path, json={"description": "=HYPERLINK(1)", "labels": ["@x", "y"]})
    answer = owner.get("/v1/numbers.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == len(owner.get("/v1/numbers").json["data"])
    (line,) = (one for one in lines if one["num_id"] == row["num_id"])
    assert line["number"] == row["number"]
    assert line["description"] == "'=HYPERLINK(1)"
    assert line["labels"] == "'@x; y"
    assert (line["monthly_cost"], line["currency"]) == ("1.26", "USD")


@pytest.mark.parametrize("cell", ["=1+1", "+1-2", "-1", "@SUM(A1)", "\t=1", "\r=1", "+1 212", "+"])
def test_no_cell_begins_like_a_formula(cell: str) -> None:
    assert safe(cell) == "'" + cell


def test_a_plain_e164_number_stays_readable_for_programs() -> None:
    assert safe("+12125550100") == "+12125550100"
    assert safe("front desk") == "front desk"
    assert safe(None) == ""

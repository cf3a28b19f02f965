"""The numbers of an account: list, export, one number with its parts, description and labels."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from flask import Response, request

from services.gateway import csv_export
from services.gateway.declare import Routes
from services.gateway.identity import Who
from services.gateway.schemas.common import page
from services.gateway.schemas.numbers import (
    NumberFilter,
    NumberPatch,
    NumberPath,
    Numbers,
    NumberView,
)
from services.gateway.surroundings import ask, order, passing_over, require, without_position

ROUTES = Routes("Numbers", "The numbers an account has.")
_VIEWS = ("numbers", "routes")
_PAGE = 100
_CSV = {
    "description": "The same rows as text/csv. A cell that a spreadsheet would take for a formula "
    "begins with an apostrophe; a plain E.164 number is left as it is.",
    "content": {"text/csv": {"schema": {"type": "string"}}},
}
_ETAG = re.compile(r'"d(\d{1,9})\.l(\d{1,9})"')


@ROUTES.get("/v1/numbers", Numbers, waits_for=_VIEWS, refuses=("invalid_cursor",))
def list_numbers(query: NumberFilter) -> dict[str, Any]:
    """The numbers of the account, newest first"""
    found = _listed(query, query.limit, query.cursor)
    return page({**found, "data": [without_position(row) for row in found["data"]]})


@ROUTES.get("/v1/numbers.csv", _CSV, waits_for=_VIEWS)
def export_numbers(query: NumberFilter) -> Response:
    """The same list as a CSV file, whole"""
    answer = Response(csv_export.text(_all(query)), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="numbers.csv"'
    return answer


@ROUTES.get("/v1/numbers/<number>", NumberView, waits_for=_VIEWS, refuses=("number_unknown",))
def get_number(path: NumberPath) -> Response:
    """A number with its parts, by E.164 or id"""
    return _answer(_number(path.number))


@ROUTES.patch(
    "/v1/numbers/<number>",
    NumberView,
    who=Who.OWNER,
    refuses=("number_unknown", "edited_meanwhile"),
)
def change_number(path: NumberPath, body: NumberPatch) -> Response:
    """Change description or labels"""
    found = _number(path.number)
    described, labelled = _versions(found)
    num_id = found["num_id"]
    # Labels first: only they can be refused for what they say, and then nothing has been changed.
    if body.labels is not None:
        order("routing", "set_labels", num_id=num_id, labels=body.labels, if_version=labelled)
    if body.description is not None:
        order(
            "orders",
            "set_description",
            num_id=num_id,
            description=body.description,
            if_version=described,
        )
    return _answer(_number(num_id))


def _listed(query: NumberFilter, limit: int, after: str | None) -> Any:
    wanted = query.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
    return ask("orders", "list_numbers", **wanted, limit=limit, after=after)


def _all(query: NumberFilter) -> list[dict[str, Any]]:
    found = _listed(query, _PAGE, None)
    rows: list[dict[str, Any]] = found["data"]
    while found["next"] is not None:
        found = _listed(query, _PAGE, found["next"])
        rows += found["data"]
    return rows


def _number(number_or_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ask("orders", "get_number", number_or_num_id=number_or_id)
    return found


def _etag(found: dict[str, Any]) -> str:
    described, labelled = found.get("description_version") or 0, found.get("labels_version") or 0
    return f'"d{described}.l{labelled}"'


def _versions(found: dict[str, Any]) -> tuple[int | None, int | None]:
    """Description's and labels' version that the edit was made on. Raises ``edited_meanwhile``
    before anything is changed; the services look again when they decide."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return None, None
    given = [one.strip() for one in wanted.split(",")]
    require(_etag(found) in given, "edited_meanwhile")
    match = _ETAG.fullmatch(_etag(found))
    return (int(match[1]) or None, int(match[2]) or None) if match else (None, None)


def _answer(found: dict[str, Any]) -> Response:
    answer = Response(msgspec.json.encode(_view(found)), content_type="application/json")
    answer.headers["ETag"] = _etag(found)
    return answer


def _view(found: dict[str, Any]) -> dict[str, Any]:
    # Routing follows a purchase at once, but after it.
    route = passing_over("number_unknown")(
        lambda: ask("routing", "get_route", number_or_num_id=found["num_id"])
    )
    parts: dict[str, Any] = {
        "call_routing": _call_routing(route or found),
        "sms_routing": {"supported": found["sms"], "enabled": False},
        "billing": _billing(found),
        "compliance": {"end_user": None, "required_documents": []},
        "cancellation": None,
    }
    return {**without_position(found), **parts}


def _call_routing(route: dict[str, Any]) -> dict[str, Any]:
    return {"destination": None, "failover": [], "max_channels": route.get("max_channels") or 2}


def _billing(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "start_date": found.get("start_date"),
        "paid_until": found.get("paid_until"),
        "monthly_cost": found["monthly_cost"],
        "minute_cost_inbound": found.get("per_minute"),
        "billing_increments": found.get("billing_increments"),
        "min_period_months": found.get("min_period_months"),
        "min_period_ends": found.get("min_period_ends"),
    }

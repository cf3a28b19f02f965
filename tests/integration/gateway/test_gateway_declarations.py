"""Deny by default: every view says who may call it, and the document says what it does."""

from __future__ import annotations

from typing import Any

from services.gateway.declare import Key, Operation, operation_of
from services.gateway.identity import Who, who_may_call
from services.gateway.routes import all_routes
from tests.integration.gateway.sites import Site, code

OPERATIONS = [operation for routes in all_routes() for operation in routes.operations]
NAMES = [f"{o.method} {o.template}" for o in OPERATIONS]
PUBLIC = {
    "POST /login",
    "POST /v1/invitations/{token}",
    "POST /v1/password-resets",
    "POST /v1/password-resets/{token}",
    "POST /v1/webhooks/stripe",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
}
KEYED = {
    "/v1/quotes",
    "/v1/orders",
    "/v1/accounts",
    "/v1/payment-methods",
    "/v1/balance/payments",
    "/v1/stock/imports",
}


def test_every_view_says_who_may_call_it(site: Site) -> None:
    silent = [n for n, view in site.app.view_functions.items() if who_may_call(view) is None]
    assert silent == []


def test_a_view_that_says_nothing_may_be_called_by_nobody(site: Site) -> None:
    site.app.view_functions["silent"] = lambda: "never"
    site.app.url_map.add(_rule("/silent", "silent"))
    assert code(site.staff().get("/silent")) == "not_authenticated"


def _rule(path: str, endpoint: str) -> Any:
    from werkzeug.routing import Rule

    return Rule(path, endpoint=endpoint, methods=["GET"])


def test_only_these_operations_are_open_to_strangers() -> None:
    assert {n for n, o in zip(NAMES, OPERATIONS, strict=True) if o.who is Who.ANYONE} == PUBLIC


def path_of(operation: Operation) -> str:
    """A path that fits the template; there is nothing at it."""
    return operation.template.replace("{", "").replace("}", "")


def test_a_stranger_gets_401_everywhere_else(site: Site) -> None:
    for operation in (o for o in OPERATIONS if o.who is not Who.ANYONE):
        answer = site.visitor.open(path_of(operation), method=operation.method, json={})
        assert code(answer) == "not_authenticated", operation.name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_viewer_changes_nothing(site: Site) -> None:
    viewer = site.caller("acct_1", "viewer")
    open_to_viewers = {Who.ANYONE, Who.SIGNED_IN, Who.LEAVING, Who.MEMBER}
    for operation in (o for o in OPERATIONS if o.who not in open_to_viewers):
        answer = viewer.ask(operation.method, path_of(operation), json={})
        assert code(answer) in {"role_required", "staff_only"}, operation.name
    changing = {o.who for o in OPERATIONS if o.method != "GET"}
    assert Who.MEMBER not in changing


def test_staff_routes_are_closed_to_owners(site: Site) -> None:
    owner = site.caller("acct_1")
    staff_only = [o for o in OPERATIONS if o.who is Who.STAFF]
    assert len(staff_only) >= 5
    for operation in staff_only:
        answer = owner.ask(operation.method, path_of(operation), json={})
        assert code(answer) == "staff_only", operation.name


def test_the_routes_that_move_numbers_or_money_require_a_key() -> None:
    required = {o.template for o in OPERATIONS if o.key is Key.REQUIRED}
    assert required == KEYED


def test_every_operation_is_documented(site: Site) -> None:
    document = site.visitor.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    for operation in OPERATIONS:
        found = document["paths"][operation.template][operation.method.lower()]
        assert found["operationId"] == operation.name
        assert found["summary"]
        assert set(found["responses"]) >= {str(s) for s in operation.answers} | {"500", "503"}
        for status, response in found["responses"].items():
            assert response["description"]
            if int(status) >= 400:
                assert "application/problem+json" in response["content"]


def test_operations_have_names_of_their_own() -> None:
    assert len({o.name for o in OPERATIONS}) == len(OPERATIONS)


def test_every_registered_view_is_in_the_document_or_a_page(site: Site) -> None:
    known = {o.name for o in OPERATIONS}
    for endpoint, view in site.app.view_functions.items():
        operation = operation_of(view)
        assert operation is None or operation.name in known, endpoint

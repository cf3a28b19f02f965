"""Every error is a problem document, whatever went wrong."""

from __future__ import annotations

import pytest

from tests.integration.gateway.sites import Site, code, problem


def test_an_unknown_address_is_a_problem(site: Site) -> None:
    found = problem(site.visitor.get("/v1/nothing"))
    assert found["code"] == "route_unknown"
    assert found["status"] == 404
    assert found["type"].endswith("/docs/errors#route_unknown")


def test_a_method_that_is_not_offered_names_those_that_are(site: Site) -> None:
    answer = site.visitor.put("/v1/countries")
    assert code(answer) == "method_not_allowed"
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_a_body_that_is_no_json_is_malformed(site: Site) -> None:
    for raw in (b"{", b"\xff", b"[" * 5000, b'{"email": tru'):
        answer = site.caller("acct_1").ask(
            "POST", "/v1/users", data=raw, content_type="application/json"
        )
        assert code(answer) == "malformed_json", raw[:20]
        assert answer.status_code == 400


def test_another_content_type_is_refused(site: Site) -> None:
    answer = site.caller("acct_1").ask("POST", "/v1/users", data="a=b", content_type="text/plain")
    assert code(answer) == "unsupported_media_type"
    assert answer.status_code == 415


def test_an_unknown_field_is_named_before_anything_else(site: Site) -> None:
    found = problem(site.caller("acct_1").post("/v1/users", {"emial": "a@b.example"}))
    assert (found["status"], found["code"], found["param"]) == (422, "unknown_field", "emial")
    assert {fault["code"] for fault in found["errors"]} == {"unknown_field", "missing_field"}


def test_a_missing_field_is_named(site: Site) -> None:
    found = problem(site.caller("acct_1").post("/v1/users", {}))
    assert (found["code"], found["param"]) == ("missing_field", "email")


@pytest.mark.parametrize("wrong", [1, None, True, ["a@b.example"], {"a": "b"}])
def test_types_are_not_guessed(site: Site, wrong: object) -> None:
    found = problem(site.caller("acct_1").post("/v1/users", {"email": wrong}))
    assert (found["code"], found["param"]) == ("invalid_value", "email")


def test_a_field_inside_a_list_is_named_with_its_place(site: Site) -> None:
    items = [{"number": "+12125550100"}, {"offer_id": "off_1", "quantity": "2"}]
    found = problem(site.caller("acct_1").post("/v1/quotes", {"items": items}))
    assert found["param"] == "items[1].quantity"


def test_a_quantity_has_a_code_of_its_own(site: Site) -> None:
    items = [{"offer_id": "off_1", "quantity": 11}]
    found = problem(site.caller("acct_1").post("/v1/quotes", {"items": items}))
    assert (found["status"], found["code"]) == (422, "quantity_invalid")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit="])
def test_a_limit_is_from_1_to_100(site: Site, query: str) -> None:
    found = problem(site.caller("acct_1").get(f"/v1/numbers?{query}"))
    assert (found["code"], found["param"]) == ("invalid_value", "limit")


def test_an_unknown_query_parameter_is_passed_over(site: Site) -> None:
    assert site.caller("acct_1").get("/v1/numbers?colour=blue").status_code == 200


def test_an_empty_field_of_a_search_form_says_nothing(site: Site) -> None:
    path = "/v1/available-numbers?country=US&region=&area_code=&city=&cursor="
    assert site.caller("acct_1").get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "media_type", "most"),
    [
        ("/v1/stock/imports", "text/csv", 10 * 1024 * 1024),
        ("/v1/users", "application/json", 1024 * 1024),
        ("/v1/users", "text/csv", 1024 * 1024),
        ("/login", "application/json", 1024 * 1024),
        ("/nowhere", "text/csv", 1024 * 1024),
    ],
)
def test_a_body_that_is_too_large_is_refused_unread(
    site: Site, path: str, media_type: str, most: int
) -> None:
    answer = site.staff().ask(
        "POST",
        path,
        content_type=media_type,
        environ_overrides={"CONTENT_LENGTH": str(most + 1)},
    )
    assert str(most) in problem(answer)["detail"]
    assert code(answer) == "body_too_large"
    assert answer.status_code == 413


def test_what_fails_inside_is_logged_and_not_shown(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    @site.app.before_request
    def fail() -> None:
        message = "a secret of the inside"
        raise RuntimeError(message)

    answer = site.visitor.get("/livez")
    found = problem(answer)
    assert (found["status"], found["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    said = capsys.readouterr()
    assert found["request_id"] in said.out + said.err


def test_a_request_id_is_taken_over_only_if_it_is_well_formed(site: Site) -> None:
    given = "order-7f3a.b_1"
    assert site.visitor.get("/livez", headers={"Request-Id": given}).headers["Request-Id"] == given
    for odd in ("short", "x" * 65, "with space and more", "über-lange-id"):
        headers = {"Request-Id": odd.encode().decode("latin-1")}
        made = site.visitor.get("/livez", headers=headers).headers["Request-Id"]
        assert made != odd
        assert len(made) == 32

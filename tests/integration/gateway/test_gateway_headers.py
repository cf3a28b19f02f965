"""Security headers, and the doors without a key."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from tests.integration.gateway.sites import Site, make_site


@pytest.mark.parametrize("path", ["/livez", "/v1/countries", "/nothing", "/docs/errors"])
def test_every_answer_carries_the_security_headers(site: Site, path: str) -> None:
    headers = site.visitor.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers


def test_only_https_is_promised_to_stay_https(tmp_path: Path) -> None:
    site = make_site(tmp_path / "data", public_url="https://numbers.example")
    headers = site.visitor.get("/livez").headers
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    site.world.close()


def test_the_docs_page_is_whole_without_the_internet(site: Site) -> None:
    page = site.visitor.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("https://www.w3.org", "")
    for name in ("/docs/start.js", "/docs/files/js/swagger-ui-bundle.js", "/openapi.json"):
        with site.visitor.get(name) as file:
            assert file.status_code == 200
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]


def test_the_errors_page_explains_every_code(site: Site) -> None:
    page = site.visitor.get("/docs/errors").text
    assert 'id="number_gone"' in page


def test_readyz_names_the_mode_and_every_consumer(site: Site) -> None:
    found = site.visitor.get("/readyz").json
    assert found["mode"] == "sandbox"
    assert found["status"] == "ready"
    assert found["consumers"]["numbers"]["failure"] is None
    assert found["consumers"]["numbers"]["position"] > 0


def test_readyz_is_not_ready_when_a_consumer_stands_still(site: Site) -> None:
    failed = {"mode": "sandbox", "ready": False, "consumers": {"numbers": {"failure": "KeyError"}}}
    object.__setattr__(site.app.extensions["pbxim"], "status", lambda: failed)
    answer = site.visitor.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["status"] == "not_ready"


def test_metrics_count_requests_by_route_and_status(site: Site) -> None:
    site.visitor.get("/v1/countries")
    text = site.visitor.get("/metrics").text
    assert 'pbxim_http_requests_total{method="GET",route="/v1/countries",status="401"} 1' in text
    assert "pbxim_log_head 1" in text
    assert 'pbxim_consumer_lag{consumer="numbers"} 0' in text


@pytest.mark.parametrize("path", ["/livez", "/v1/countries", "/nothing"])
def test_a_request_leaves_nothing_behind_in_the_log_context_of_its_thread(
    site: Site, path: str
) -> None:
    with structlog.contextvars.bound_contextvars(worker="w1"):
        before = structlog.contextvars.get_contextvars()
        site.visitor.get(path)
        assert structlog.contextvars.get_contextvars() == before

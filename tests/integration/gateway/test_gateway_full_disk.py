"""What the gateway answers when its own tables cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from services.gateway import idempotency
from services.gateway.sweeping import EVERY_SECONDS
from shared.refusals import refusal
from tests.integration.gateway.sites import Site, code, problem
from tests.integration.gateway.test_gateway_sessions import sign_in, with_user


@contextmanager
def full(site: Site) -> Iterator[None]:
    """No transaction of the state store can be written."""

    @contextmanager
    def refuse() -> Iterator[Any]:
        raise refusal("storage_full", "The data cannot grow: the disk is full.")
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site.world.runtime.state, "write", refuse)
        yield


def test_what_cannot_be_written_is_refused_with_the_time_to_come_back(site: Site) -> None:
    staff = site.staff()
    with full(site):
        answer = staff.post("/v1/users", {"email": "ann@example.com"})
    assert (answer.status_code, code(answer)) == (503, "storage_full")
    assert answer.headers["Retry-After"] == "1"
    assert problem(answer)["next_step"]


def test_an_answer_that_cannot_be_kept_is_given_and_its_key_is_free_at_once(site: Site) -> None:
    def fail(*_: Any) -> None:
        raise refusal("storage_full")

    caller, body = site.caller("acct_1"), {"name": "till"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idempotency.Answers, "_stored", fail)
        first = caller.post("/v1/api-keys", body, "key-1")
    assert first.status_code == 201  # It was done: another answer would make somebody do it again.
    again = caller.post("/v1/api-keys", body, "key-1")
    assert (again.status_code, again.json["id"]) == (201, first.json["id"])


def test_whoever_is_signed_in_reads_on(site: Site) -> None:
    browser = with_user(site).visitor
    sign_in(browser)
    site.world.machine.forward(minutes=5)  # From here on the session's last use is noted.
    with full(site):
        assert browser.get("/v1/session").status_code == 200


def test_tidying_up_on_the_way_spoils_no_answer(site: Site) -> None:
    caller = site.caller("acct_1")
    site.world.machine.forward(seconds=EVERY_SECONDS)
    with full(site):
        assert caller.get("/v1/users").status_code == 200


def test_what_fails_after_the_view_is_told_like_any_other_failure(site: Site) -> None:
    @site.app.after_request
    def fail(_answer: Any) -> Any:
        raise refusal("busy", "The data is locked by another writer.")

    answer = site.visitor.get("/livez")
    assert (answer.status_code, answer.json["code"]) == (503, "busy")

"""Idempotency-Key: the same request twice is one request (contract section 1)."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from services.gateway import idempotency, sweeping
from services.gateway.app import key_wrapper
from services.gateway.idempotency import Answers, Asked, Running
from services.gateway.renewing import Renewer
from services.gateway.state import idempotency as table
from services.gateway.state import rows
from services.gateway.surroundings import surroundings_of
from shared import failpoints
from tests.integration.gateway.sites import Site, code

NEW = {"name": "Company", "email": "first@example.com", "country": "US"}


def test_a_repeated_request_is_answered_from_the_first(site: Site) -> None:
    staff = site.staff()
    first = staff.post("/v1/accounts", NEW, key="k1")
    again = staff.post("/v1/accounts", NEW, key="k1")
    assert first.status_code == again.status_code == 201
    assert first.json == again.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Log-Position"] == first.headers["Log-Position"]


def test_another_body_under_the_key_is_refused_before_it_is_validated(site: Site) -> None:
    staff = site.staff()
    staff.post("/v1/accounts", NEW, key="k1")
    assert code(staff.post("/v1/accounts", {"nonsense": 1}, key="k1")) == "idempotency_key_reused"


def test_the_query_is_not_compared(site: Site) -> None:
    staff = site.staff()
    staff.post("/v1/accounts", NEW, key="k1")
    again = staff.post("/v1/accounts?x=1", NEW, key="k1")
    assert again.headers["Idempotent-Replayed"] == "true"


def test_another_path_of_the_same_template_is_another_request(site: Site) -> None:
    owner = site.caller("acct_1")
    one, two = (owner.post("/v1/api-keys", {}).json["id"] for _ in range(2))
    assert owner.post(f"/v1/api-keys/{one}/rotate", key="k1").status_code == 200
    other = owner.post(f"/v1/api-keys/{two}/rotate", key="k1")
    assert code(other) == "idempotency_key_reused"


def test_keys_of_two_accounts_have_nothing_to_do_with_each_other(site: Site) -> None:
    for account in ("acct_1", "acct_2"):
        made = site.caller(account).post("/v1/api-keys", {}, key="k1")
        assert "Idempotent-Replayed" not in made.headers


@pytest.mark.parametrize("path", ["/v1/quotes", "/v1/orders", "/v1/payment-methods"])
def test_a_key_is_required_where_numbers_or_money_move(site: Site, path: str) -> None:
    answer = site.caller("acct_1").ask("POST", path, json={})
    assert code(answer) == "idempotency_key_missing"
    assert answer.status_code == 400


def test_no_body_and_an_empty_object_are_the_same(site: Site) -> None:
    owner = site.caller("acct_1")
    first = owner.post("/v1/api-keys", None, key="k1")
    again = owner.post("/v1/api-keys", {}, key="k1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json == again.json


def test_a_refusal_is_kept_and_repeated(site: Site) -> None:
    staff = site.staff()
    wrong = {**NEW, "time_zone": "Mars/Olympus"}
    first = staff.post("/v1/accounts", wrong, key="k1")
    again = staff.post("/v1/accounts", wrong, key="k1")
    assert first.status_code == again.status_code == 422
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_malformed_request_is_not_kept(site: Site) -> None:
    staff = site.staff()
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    assert staff.ask("POST", "/v1/accounts", data="{", headers=headers).status_code == 400
    assert staff.post("/v1/accounts", NEW, key="k1").status_code == 201


def test_a_request_that_still_runs_is_not_run_beside_itself(site: Site) -> None:
    asked = _asked()
    answers = _answers(site)
    assert isinstance(answers.begin(asked, now=100), Running)
    with pytest.raises(Exception, match="idempotency_key_in_use"):
        answers.begin(asked, now=107)


def test_a_request_that_died_may_be_run_again_after_8_seconds(site: Site) -> None:
    answers = _answers(site)
    answers.begin(_asked(), now=100)
    again = answers.begin(_asked(), now=108)
    assert isinstance(again, Running)
    assert again.attempt == 2


def test_a_key_of_a_dead_process_whose_clock_was_an_hour_ahead_is_free_at_once(
    site: Site,
) -> None:
    answers = _answers(site)
    answers.begin(_asked(), now=4000)
    again = answers.begin(_asked(), now=400)
    assert isinstance(again, Running)
    assert again.attempt == 2


def test_a_request_that_takes_long_keeps_its_key_while_its_process_lives(site: Site) -> None:
    answers, renewer = _answers(site), Renewer(site.world.runtime.state)
    running = answers.begin(_asked(), now=100)
    assert isinstance(running, Running)
    renewer.began(running)
    looks = [renewer.look(now) for now in range(102, 132, 2)]
    with pytest.raises(Exception, match="idempotency_key_in_use"):
        answers.begin(_asked(), now=131)
    renewer.ended(running)

    assert looks == [0] + [1] * 14
    assert renewer.look(132) == 0
    assert isinstance(answers.begin(_asked(), now=138), Running)


def test_a_request_that_was_taken_over_renews_nothing(site: Site) -> None:
    answers, state = _answers(site), site.world.runtime.state
    first = answers.begin(_asked(), now=100)
    assert isinstance(first, Running)
    assert isinstance(answers.begin(_asked(), now=108), Running)
    idempotency.renew(state, [first], 110)
    assert [row.running_until for row in rows(state, select(table))] == [116]


def test_a_request_with_a_key_is_renewed_while_it_is_under_way_and_no_longer(site: Site) -> None:
    renewer = surroundings_of(site.app).renewer
    seen = []
    site.app.before_request_funcs[None].append(lambda: seen.append(len(renewer._running)))
    assert site.staff().post("/v1/accounts", NEW, key="k1").status_code == 201
    assert (seen, len(renewer._running)) == ([1], 0)


def test_a_late_first_attempt_does_not_overwrite_the_second(site: Site) -> None:
    answers = _answers(site)
    first = answers.begin(_asked(), now=100)
    second = answers.begin(_asked(), now=130)
    assert isinstance(first, Running)
    assert isinstance(second, Running)
    answers.finish(second, site.app.response_class("second", 201), None)
    answers.finish(first, site.app.response_class("first", 201), None)
    replayed = answers.begin(_asked(), now=200)
    assert not isinstance(replayed, Running)
    assert replayed.get_data() == b"second"


@pytest.mark.parametrize(
    ("status", "code_"), [(401, None), (429, None), (402, "payment_method_required")]
)
def test_answers_after_which_nothing_was_done_are_not_kept(
    site: Site, status: int, code_: str | None
) -> None:
    answers = _answers(site)
    running = answers.begin(_asked(), now=100)
    assert isinstance(running, Running)
    answers.finish(running, site.app.response_class("no", status), code_)
    other_body = Asked("acct_1", "POST /v1/orders", "k1", b"another")
    assert isinstance(answers.begin(other_body, now=101), Running)


def test_after_a_failure_of_ours_the_same_request_runs_again(site: Site) -> None:
    answers = _answers(site)
    running = answers.begin(_asked(), now=100)
    assert isinstance(running, Running)
    answers.finish(running, site.app.response_class("sorry", 503), "busy")
    again = answers.begin(_asked(), now=101)
    assert isinstance(again, Running)
    assert again.attempt == 2
    other_body = Asked("acct_1", "POST /v1/orders", "k1", b"another")
    with pytest.raises(Exception, match="idempotency_key_reused"):
        answers.begin(other_body, now=102)


def test_answers_are_kept_96_hours(site: Site) -> None:
    site.caller("acct_1").post("/v1/api-keys", {}, key="k1")
    now = int(site.world.machine.now().timestamp())
    sweeping.sweep(site.world.state, now + idempotency.KEPT_SECONDS)
    assert len(rows(site.world.state, select(table))) == 1
    sweeping.sweep(site.world.state, now + idempotency.KEPT_SECONDS + 1)
    assert rows(site.world.state, select(table)) == []


def test_a_key_has_to_be_a_short_plain_text(site: Site) -> None:
    for odd in ("x" * 256, "smile \N{WHITE SMILING FACE}".encode().decode("latin-1")):
        refused = site.caller("acct_1").post("/v1/api-keys", {}, key=odd)
        assert code(refused) == "malformed_request"


def test_the_answer_is_stored_between_two_fail_points(site: Site, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    failpoints.arm(f"record:{reached}")
    site.caller("acct_1").post("/v1/api-keys", {}, key="k1")
    failpoints.arm(None)
    places = [line.split()[1] for line in reached.read_text().splitlines()]
    assert places == ["answer.before", "answer.after"]


def _asked() -> Asked:
    return Asked("acct_1", "POST /v1/orders", "k1", b"mark")


def _answers(site: Site) -> Answers:
    return Answers(site.world.state, key_wrapper(site.world.runtime), set())

"""Sessions of browsers: cookies, CSRF, limits, the second factor."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.gateway import totp
from tests.integration.gateway.sites import Site, code, make_site

PASSWORD = "four horses on a tin roof"


def with_user(site: Site, email: str = "ann@example.com", role: str = "owner") -> Site:
    """A site with somebody who can sign in."""
    maker = site.staff() if role == "staff" else site.caller("acct_1")
    assert maker.post("/v1/users", {"email": email, "role": role}).status_code == 201
    token = site.mails()[0]["token"]
    site.visitor.post(f"/v1/invitations/{token}", json={"password": PASSWORD})
    return site


def sign_in(client: FlaskClient, email: str = "ann@example.com", **more: str) -> TestResponse:
    """Signs in as a program does."""
    return client.post("/login", json={"email": email, "password": PASSWORD} | more)


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(site: Site) -> None:
    cookie = sign_in(with_user(site).visitor).headers["Set-Cookie"]
    assert cookie.startswith("pbxim=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie


def test_over_https_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    site = with_user(make_site(tmp_path / "data", public_url="https://numbers.example"))
    cookie = sign_in(site.visitor).headers["Set-Cookie"]
    assert cookie.startswith("__Host-pbxim=")
    assert "Secure" in cookie
    assert "Domain" not in cookie
    site.world.close()


def test_the_session_says_who_is_asking(site: Site) -> None:
    browser = with_user(site).visitor
    sign_in(browser)
    found = browser.get("/v1/session").json
    assert (found["account_id"], found["email"]) == ("acct_1", "ann@example.com")


def test_the_id_changes_at_login_and_the_old_one_ends(site: Site) -> None:
    browser = with_user(site).visitor
    sign_in(browser)
    first = browser.get_cookie("pbxim").value
    sign_in(browser)
    assert browser.get_cookie("pbxim").value != first
    thief = site.visitor
    thief.set_cookie("pbxim", first)
    assert code(thief.get("/v1/session")) == "session_expired"


def test_logout_ends_the_session_on_our_side(site: Site) -> None:
    browser = with_user(site).visitor
    token = sign_in(browser).json["csrf_token"]
    kept = browser.get_cookie("pbxim").value
    assert browser.post("/logout", headers={"X-CSRF-Token": token}).status_code == 204
    thief = site.visitor
    thief.set_cookie("pbxim", kept)
    assert code(thief.get("/v1/session")) == "session_expired"


def test_a_session_ends_after_30_idle_minutes(site: Site) -> None:
    browser = with_user(site).visitor
    sign_in(browser)
    for _ in range(3):
        site.world.machine.forward(minutes=29)
        assert browser.get("/v1/session").status_code == 200
    site.world.machine.forward(minutes=31)
    assert code(browser.get("/v1/session")) == "session_expired"


def test_a_session_ends_after_12_hours_however_busy(site: Site) -> None:
    browser = with_user(site).visitor
    sign_in(browser)
    for _ in range(35):
        site.world.machine.forward(minutes=20)
        assert browser.get("/v1/session").status_code == 200
    site.world.machine.forward(minutes=21)
    assert code(browser.get("/v1/session")) == "session_expired"


def test_a_change_by_session_needs_the_csrf_token(site: Site) -> None:
    browser = with_user(site).visitor
    token = sign_in(browser).json["csrf_token"]
    assert code(browser.post("/v1/api-keys", json={})) == "csrf_failed"
    wrong = browser.post("/v1/api-keys", json={}, headers={"X-CSRF-Token": token + "x"})
    assert code(wrong) == "csrf_failed"
    right = browser.post("/v1/api-keys", json={}, headers={"X-CSRF-Token": token})
    assert right.status_code == 201


def test_the_token_of_one_session_is_no_use_in_another(site: Site) -> None:
    with_user(site)
    mine, other = site.visitor, site.visitor
    stolen = sign_in(other).json["csrf_token"]
    sign_in(mine)
    assert (
        code(mine.post("/v1/api-keys", json={}, headers={"X-CSRF-Token": stolen})) == "csrf_failed"
    )


def test_another_site_cannot_cause_a_change_even_with_the_token(site: Site) -> None:
    browser = with_user(site).visitor
    token = sign_in(browser).json["csrf_token"]
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        sent = {"X-CSRF-Token": token, **headers}
        assert code(browser.post("/v1/api-keys", json={}, headers=sent)) == "csrf_failed"


def test_another_site_cannot_sign_somebody_in(site: Site) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = with_user(site).visitor.post(
        "/login", json={"email": "ann@example.com", "password": PASSWORD}, headers=headers
    )
    assert code(answer) == "csrf_failed"


def test_the_form_of_the_page_is_answered_with_a_redirection(site: Site) -> None:
    browser = with_user(site).visitor
    form = {"email": "ann@example.com", "password": PASSWORD, "next": "/numbers"}
    done = browser.post("/login", data=form)
    assert (done.status_code, done.headers["Location"]) == (303, "/numbers")
    assert browser.get("/v1/session").status_code == 200


@pytest.mark.parametrize("away", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_nobody_is_sent_to_another_site_after_signing_in(site: Site, away: str) -> None:
    form = {"email": "ann@example.com", "password": PASSWORD, "next": away}
    assert with_user(site).visitor.post("/login", data=form).headers["Location"] == "/"


def test_a_form_with_a_wrong_password_goes_back_to_the_page(site: Site) -> None:
    form = {"email": "ann@example.com", "password": "wrong", "next": "/numbers"}
    done = with_user(site).visitor.post("/login", data=form)
    assert done.headers["Location"] == "/login?error=credentials_wrong&next=%2Fnumbers"


def test_ten_wrong_passwords_close_the_door_for_a_while(site: Site) -> None:
    with_user(site)
    wrong = {"email": "ann@example.com", "password": "wrong"}
    assert {code(site.visitor.post("/login", json=wrong)) for _ in range(10)} == {
        "credentials_wrong"
    }
    closed = sign_in(site.visitor)
    assert code(closed) == "rate_limited"
    assert closed.status_code == 429
    assert 1 <= int(closed.headers["Retry-After"]) <= 15 * 60


def test_requests_over_the_limit_are_told_when_to_come_back(tmp_path: Path) -> None:
    site = make_site(tmp_path / "data", rate_limit="3 per hour")
    caller = site.caller("acct_1")
    statuses = [caller.get("/v1/session").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert int(caller.get("/v1/session").headers["Retry-After"]) > 1
    assert site.caller("acct_1").get("/v1/session").status_code == 200
    site.world.close()


def _enrolled(site: Site) -> tuple[FlaskClient, str]:
    browser = with_user(site).visitor
    headers = {"X-CSRF-Token": sign_in(browser).json["csrf_token"]}
    secret = browser.post("/v1/users/me/totp", json={}, headers=headers).json["secret"]
    now = int(site.world.machine.now().timestamp())
    body = {"code": totp.code(secret, now // 30)}
    confirmed = browser.post("/v1/users/me/totp/confirm", json=body, headers=headers)
    assert confirmed.json["second_factor"] is True
    return browser, secret


def test_with_a_second_factor_the_password_is_not_enough(site: Site) -> None:
    _enrolled(site)
    assert code(sign_in(site.visitor)) == "totp_required"
    assert code(sign_in(site.visitor, totp="000000")) == "totp_wrong"


def test_each_code_gets_somebody_in_once(site: Site) -> None:
    _, secret = _enrolled(site)
    site.world.machine.forward(seconds=30)
    fresh = totp.code(secret, int(site.world.machine.now().timestamp()) // 30)
    assert sign_in(site.visitor, totp=fresh).status_code == 200
    assert code(sign_in(site.visitor, totp=fresh)) == "totp_wrong"


def test_a_code_may_be_typed_as_the_authenticator_shows_it(site: Site) -> None:
    _, secret = _enrolled(site)
    fresh = totp.code(secret, int(site.world.machine.now().timestamp()) // 30 + 1)
    assert code(sign_in(site.visitor, totp=f"{fresh[:3]}{fresh[4:]}")) == "totp_wrong"
    assert sign_in(site.visitor, totp=f" {fresh[:3]} {fresh[3:]}").status_code == 200


def test_an_open_session_is_not_enough_to_replace_a_second_factor(site: Site) -> None:
    browser, secret = _enrolled(site)
    headers = {"X-CSRF-Token": browser.get("/v1/session").json["csrf_token"]}
    assert code(browser.post("/v1/users/me/totp", json={}, headers=headers)) == "totp_enrolled"
    later = totp.code(secret, int(site.world.machine.now().timestamp()) // 30 + 1)
    removed = browser.post("/v1/users/me/totp/remove", json={"code": later}, headers=headers)
    assert removed.json["second_factor"] is False
    assert browser.post("/v1/users/me/totp", json={}, headers=headers).status_code == 201


def test_an_open_session_is_no_place_to_try_all_codes(site: Site) -> None:
    browser, secret = _enrolled(site)
    headers = {"X-CSRF-Token": browser.get("/v1/session").json["csrf_token"]}
    now = int(site.world.machine.now().timestamp()) // 30
    wrong, right = (totp.code(secret, now + later) for later in (99, 1))
    path = "/v1/users/me/totp/remove"
    tries = [browser.post(path, json={"code": wrong}, headers=headers) for _ in range(10)]
    assert {code(answer) for answer in tries} == {"totp_wrong"}
    assert code(browser.post(path, json={"code": right}, headers=headers)) == "rate_limited"


NEW = "five goats under a slate roof"


def _change(browser: FlaskClient, **body: str) -> TestResponse:
    headers = {"X-CSRF-Token": browser.get("/v1/session").json["csrf_token"]}
    wanted = {"current_password": PASSWORD, "password": NEW} | body
    return browser.post("/v1/users/me/password", json=wanted, headers=headers)


def test_a_changed_password_counts_at_once_and_every_other_session_ends(site: Site) -> None:
    here, elsewhere = with_user(site).visitor, site.visitor
    for browser in (here, elsewhere):
        assert sign_in(browser).status_code == 200
    site.visitor.post("/v1/password-resets", json={"email": "ann@example.com"})
    link = site.mails()[0]["token"]

    assert _change(here).json["email"] == "ann@example.com"

    assert here.get("/v1/session").json["email"] == "ann@example.com"
    assert code(elsewhere.get("/v1/session")) == "session_expired"
    assert code(sign_in(site.visitor)) == "credentials_wrong"
    assert sign_in(site.visitor, password=NEW).status_code == 200
    old = site.visitor.post(f"/v1/password-resets/{link}", json={"password": PASSWORD})
    assert code(old) == "token_invalid"
    told = site.mails()[0]
    assert (told["kind"], told["to"], told["token"]) == ("password_changed", "ann@example.com", "")
    assert NEW not in told["text"]


@pytest.mark.parametrize(
    ("body", "refused", "param"),
    [
        ({"current_password": NEW}, "credentials_wrong", "current_password"),
        ({"password": "too short"}, "password_too_weak", "password"),
        ({"password": "password1234567"}, "password_too_weak", "password"),
    ],
)
def test_who_does_not_know_the_password_or_chooses_a_weak_one_changes_nothing(
    site: Site, body: dict[str, str], refused: str, param: str
) -> None:
    here, elsewhere = with_user(site).visitor, site.visitor
    for browser in (here, elsewhere):
        sign_in(browser)

    answer = _change(here, **body)

    assert (code(answer), answer.json["param"]) == (refused, param)
    assert elsewhere.get("/v1/session").status_code == 200
    assert sign_in(site.visitor).status_code == 200


def test_an_open_session_is_no_place_to_try_passwords(site: Site) -> None:
    browser = with_user(site).visitor
    sign_in(browser)
    tries = [_change(browser, current_password=f"wrong {n}") for n in range(10)]
    assert {code(answer) for answer in tries} == {"credentials_wrong"}
    assert code(_change(browser)) == "rate_limited"


def test_one_signs_out_everywhere_else_and_nobody_else_out(site: Site) -> None:
    here, elsewhere = with_user(site).visitor, site.visitor
    stranger = with_user(site, "bob@example.com").visitor
    sign_in(elsewhere)
    site.world.machine.forward(minutes=2)
    sign_in(here)
    sign_in(stranger, "bob@example.com")
    path = "/v1/users/me/sessions"
    assert [one["current"] for one in here.get(path).json["data"]] == [True, False]
    first, second = here.get(path).json["data"]
    assert first["signed_in_at"] > second["signed_in_at"] == second["last_seen_at"]

    headers = {"X-CSRF-Token": here.get("/v1/session").json["csrf_token"]}
    assert here.delete(path, headers=headers).json == {"ended": 1}

    assert [one["current"] for one in here.get(path).json["data"]] == [True]
    assert code(elsewhere.get("/v1/session")) == "session_expired"
    assert stranger.get("/v1/session").status_code == 200
    assert here.delete(path, headers=headers).json == {"ended": 0}


def test_a_session_that_is_over_is_no_longer_shown(site: Site) -> None:
    here, elsewhere = with_user(site).visitor, site.visitor
    sign_in(elsewhere)
    site.world.machine.forward(minutes=30)
    sign_in(here)
    assert len(here.get("/v1/users/me/sessions").json["data"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/users/me/password", {"current_password": PASSWORD, "password": NEW}),
        ("GET", "/v1/users/me/sessions", None),
        ("DELETE", "/v1/users/me/sessions", None),
    ],
)
def test_a_key_has_neither_a_password_nor_sessions(
    site: Site, method: str, path: str, body: dict[str, str] | None
) -> None:
    assert code(site.caller("acct_1").ask(method, path, json=body)) == "role_required"


def test_codes_are_those_of_rfc_6238() -> None:
    import base64

    secret = base64.b32encode(b"12345678901234567890").decode()
    for now, expected in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.code(secret, now // 30) == expected


def test_in_live_mode_staff_may_only_enrol_a_second_factor(tmp_path: Path) -> None:
    key_file = tmp_path / "master.key"
    made = make_site(tmp_path / "sandbox", key_file=str(key_file))
    made.world.close()
    live = make_site(
        tmp_path / "live",
        mode="live",
        key_file=str(key_file),
        public_url="https://numbers.example",
        stripe_secret_key="sk_live_no_such_key",
        stripe_publishable_key="pk_live_no_such_key",
        stripe_webhook_secret="whsec_none",
    )
    from services.gateway import tokens
    from services.gateway.app import key_wrapper
    from services.gateway.passwords import hashing_places
    from services.gateway.people import NewUser, People

    people = People(live.world.state, key_wrapper(live.world.runtime), "", hashing_places())
    now = int(live.world.machine.now().timestamp())
    people.invite(
        NewUser(id="user_1", account_id="acct_staff", email="s@example.com", name="", role="staff"),
        now,
    )
    with live.world.state.write() as connection:
        link = tokens.issue(connection, tokens.INVITATION, "user_1", now)
    people.set_password(tokens.INVITATION, link, PASSWORD, now)
    browser = live.app.test_client()
    base = "https://localhost"
    body = {"email": "s@example.com", "password": PASSWORD}
    assert browser.post("/login", json=body, base_url=base).json["must_enrol"] is True
    assert code(browser.get("/v1/accounts", base_url=base)) == "totp_enrolment_required"
    assert browser.get("/v1/session", base_url=base).status_code == 200
    assert browser.get("/v1/outbox", base_url=base).status_code == 404
    headers = {
        "Authorization": f"Bearer {live.caller('acct_1').key}",
        "Idempotency-Key": "k1",
    }
    token = {"payment_method": "pm_card_visa"}
    refused = browser.post("/v1/payment-methods", json=token, headers=headers, base_url=base)
    assert (code(refused), refused.status_code) == ("route_unknown", 404)
    live.world.close()

"""Users, invitations, passwords, API keys."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from services.gateway.state import rows, user
from tests.integration.gateway.sites import Site, code, problem

GOOD = "four horses on a tin roof"
BETTER = "seven lighthouses in the fog"


def invited(site: Site, email: str = "ann@example.com", role: str = "owner") -> str:
    """The token of an invitation into ``acct_1``."""
    answer = site.caller("acct_1").post("/v1/users", {"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    token: str = site.mails()[0]["token"]
    return token


def test_an_invited_user_chooses_a_password_and_signs_in(site: Site) -> None:
    token = invited(site)
    accepted = site.visitor.post(f"/v1/invitations/{token}", json={"password": GOOD})
    assert accepted.status_code == 201
    assert accepted.json["status"] == "active"
    login = site.visitor.post("/login", json={"email": "Ann@Example.com", "password": GOOD})
    assert login.status_code == 200
    assert login.json["role"] == "owner"


def test_an_invitation_works_once(site: Site) -> None:
    token = invited(site)
    site.visitor.post(f"/v1/invitations/{token}", json={"password": GOOD})
    again = site.visitor.post(f"/v1/invitations/{token}", json={"password": BETTER})
    assert code(again) == "token_invalid"
    assert again.status_code == 410


def test_a_weak_password_does_not_spend_the_invitation(site: Site) -> None:
    token = invited(site)
    for weak in ("short", "passwordpassword", "aaaaaaaaaaaaaaaaaa", "ann@example.com"):
        refused = site.visitor.post(f"/v1/invitations/{token}", json={"password": weak})
        assert code(refused) == "password_too_weak", weak
    assert site.visitor.post(f"/v1/invitations/{token}", json={"password": GOOD}).status_code == 201


def test_an_invitation_lasts_seven_days(site: Site) -> None:
    token = invited(site)
    site.world.machine.forward(days=7, seconds=1)
    late = site.visitor.post(f"/v1/invitations/{token}", json={"password": GOOD})
    assert code(late) == "token_invalid"


def test_a_reset_changes_the_password_and_ends_sessions(site: Site) -> None:
    site.visitor.post(f"/v1/invitations/{invited(site)}", json={"password": GOOD})
    browser = site.visitor
    browser.post("/login", json={"email": "ann@example.com", "password": GOOD})
    asked = site.visitor.post("/v1/password-resets", json={"email": "ann@example.com"})
    assert asked.status_code == 202
    token = site.mails()[0]["token"]
    reset = site.visitor.post(f"/v1/password-resets/{token}", json={"password": BETTER})
    assert reset.status_code == 200
    assert code(browser.get("/v1/session")) == "session_expired"
    old = site.visitor.post("/login", json={"email": "ann@example.com", "password": GOOD})
    assert code(old) == "credentials_wrong"
    new = site.visitor.post("/login", json={"email": "ann@example.com", "password": BETTER})
    assert new.status_code == 200


def test_a_reset_link_lasts_an_hour(site: Site) -> None:
    site.visitor.post(f"/v1/invitations/{invited(site)}", json={"password": GOOD})
    site.visitor.post("/v1/password-resets", json={"email": "ann@example.com"})
    token = site.mails()[0]["token"]
    site.world.machine.forward(hours=1, seconds=1)
    late = site.visitor.post(f"/v1/password-resets/{token}", json={"password": BETTER})
    assert code(late) == "token_invalid"


def test_a_stranger_learns_nothing_from_a_reset(site: Site) -> None:
    site.visitor.post(f"/v1/invitations/{invited(site)}", json={"password": GOOD})
    before = len(site.mails())
    known = site.visitor.post("/v1/password-resets", json={"email": "ann@example.com"})
    unknown = site.visitor.post("/v1/password-resets", json={"email": "bob@example.com"})
    assert (known.status_code, known.json) == (unknown.status_code, unknown.json)
    assert len(site.mails()) == before + 1


def test_a_login_takes_as_long_for_somebody_who_is_not_there(site: Site) -> None:
    site.visitor.post(f"/v1/invitations/{invited(site)}", json={"password": GOOD})

    def seconds(email: str) -> float:
        began = time.process_time()  # What it costs; how long it takes depends on the machine.
        wrong = site.visitor.post("/login", json={"email": email, "password": "not the password"})
        assert code(wrong) == "credentials_wrong"
        return time.process_time() - began

    known = min(seconds("ann@example.com") for _ in range(4))
    unknown = min(seconds("bob@example.com") for _ in range(4))
    assert 0.5 < known / unknown < 2


def test_passwords_are_stored_as_argon2id(site: Site) -> None:
    site.visitor.post(f"/v1/invitations/{invited(site)}", json={"password": GOOD})
    (stored,) = [row.password_hash for row in rows(site.world.state, select(user))]
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_one_email_has_one_user(site: Site) -> None:
    invited(site)
    again = site.caller("acct_2").post("/v1/users", {"email": "ANN@example.com"})
    assert code(again) == "email_taken"


def test_an_account_keeps_an_owner(site: Site) -> None:
    invited(site)
    owner = site.caller("acct_1")
    (found,) = owner.get("/v1/users").json["data"]
    assert code(owner.ask("DELETE", f"/v1/users/{found['id']}")) == "last_owner"
    invited(site, "bob@example.com")
    assert owner.ask("DELETE", f"/v1/users/{found['id']}").status_code == 204
    assert code(owner.get(f"/v1/users/{found['id']}")) == "user_unknown"


def test_staff_is_made_by_staff_alone(site: Site) -> None:
    assert code(site.caller("acct_1").post("/v1/users", {"email": "x@y.example", "role": "staff"}))
    refused = site.caller("acct_1").post("/v1/api-keys", {"role": "staff"})
    assert code(refused) == "staff_only"
    assert site.staff().post("/v1/api-keys", {"role": "staff"}).status_code == 201
    assert code(site.staff().post("/v1/api-keys", {"role": "owner"})) == "staff_only"


def test_a_key_is_shown_once_and_stored_hashed(site: Site) -> None:
    owner = site.caller("acct_1")
    made = owner.post("/v1/api-keys", {"name": "shop"}).json
    assert made["api_key"].startswith("pbx_")
    assert "api_key" not in owner.get(f"/v1/api-keys/{made['id']}").json
    assert made["api_key"] not in owner.get("/v1/api-keys").text
    kept = site.world.state_as_it_lies()
    assert made["id"].encode() in kept
    assert made["api_key"].encode() not in kept


def test_a_rotated_key_stops_working_and_its_successor_works(site: Site) -> None:
    owner = site.caller("acct_1")
    made = owner.post("/v1/api-keys", {}).json
    rotated = owner.post(f"/v1/api-keys/{made['id']}/rotate").json

    def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return site.visitor.get("/v1/numbers", headers=headers).status_code

    assert (status(made["api_key"]), status(rotated["api_key"])) == (401, 200)


def test_a_revoked_key_stops_working(site: Site) -> None:
    owner = site.caller("acct_1")
    made = owner.post("/v1/api-keys", {"role": "viewer"}).json
    assert owner.ask("DELETE", f"/v1/api-keys/{made['id']}").status_code == 204
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    assert code(site.visitor.get("/v1/numbers", headers=headers)) == "not_authenticated"


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic dTpw", "Bearer pbx_", "pbx_abc"])
def test_a_key_that_is_none_is_refused(site: Site, header: str) -> None:
    answer = site.visitor.get("/v1/numbers", headers={"Authorization": header})
    assert problem(answer)["code"] == "not_authenticated"

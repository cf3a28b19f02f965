"""Your sign-in: second factor, password and sessions, without a browser."""

import logging
import re
from dataclasses import replace

import pytest
import segno

from services.gateway import totp
from services.gateway.app import create_app
from services.gateway.identity import Who, who_may_call
from services.gateway.qr import qr_code
from tests.integration.pages.visitors import (
    PASSWORD,
    Visitor,
    hidden,
    signed_in,
    staff_of,
    viewer_of,
)

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FACTOR = "/you/second-factor"
CODE = f"{FACTOR}/code"
REMOVAL = f"{FACTOR}/removal"
CHANGE, NEW = "/you/password", "another sentence that nobody guesses"


def code_of(shop, secret, later=0):
    """What an authenticator shows, so many steps of 30 seconds later."""
    return totp.code(secret, int(shop.world.machine.now().timestamp()) // 30 + later)


def secret_on(answer):
    return re.search(r'data-copy="([A-Z2-7]{32})"', answer.text)[1]


def begun(visitor, **fields):
    """Up to the page with the secret."""
    answer = visitor.send(FACTOR, "/you", **fields)
    assert (answer.status_code, answer.location.split("?")[0]) == (303, FACTOR)
    return secret_on(visitor.get(answer.location))


def enrolled(shop, visitor):
    """With a second factor; the secret."""
    secret = begun(visitor)
    answer = visitor.send(CODE, FACTOR, code=code_of(shop, secret, -1))
    assert answer.location == "/you?enrolled=1", answer.text
    return secret


def is_on(visitor):
    return re.search(
        r'id="factor">.*?<span class="badge[^>]*>(On|Off)<', visitor.get("/you").text, re.DOTALL
    )[1]


# ── Setting it up and removing it ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("who", "role"), [(signed_in, "Owner"), (viewer_of, "Viewer"), (staff_of, "Staff")]
)
def test_everybody_finds_e_mail_role_and_second_factor_from_every_page(shop, who, role):
    visitor = who(shop)
    home = visitor.get("/office/accounts" if role == "Staff" else "/numbers").text
    page = visitor.get("/you").text

    assert '<a class="you" href="/you">Your sign-in</a>' in home
    assert f"<dd>{visitor.email}</dd>" in page
    assert f"<dd>{role}</dd>" in page
    assert is_on(visitor) == "Off"


def test_a_second_factor_is_set_up_and_asked_for_from_then_on(shop, visitor):
    secret = begun(visitor)
    assert is_on(visitor) == "Off"
    code = code_of(shop, secret)

    answer = visitor.send(CODE, FACTOR, code=f" {code[:3]} {code[3:]} ")
    page = visitor.get(answer.location).text

    assert "Your second factor is on." in page
    assert is_on(visitor) == "On"
    other = Visitor(shop.visitor, visitor.email, visitor.api)
    form = {"email": visitor.email, "password": PASSWORD, "next": "/billing"}
    back = other.client.post("/login", data=form).location
    said = other.get(back).text
    assert "A code of your authenticator is needed." in said
    assert "Sign in again, with the six digits that it shows now." in said
    again = other.client.post("/login", data=form | {"totp": code}).location
    said = other.get(again).text
    assert "The code is wrong or was used already." in said
    assert "Sign in again, with the next six digits" in said
    fresh = code_of(shop, secret, 1)
    done = other.client.post("/login", data=form | {"totp": f"{fresh[:3]} {fresh[3:]}"})
    assert done.location == "/billing"


def test_the_secret_stands_in_groups_of_four_and_in_a_code_that_can_be_scanned(visitor):
    secret = begun(visitor)
    page = visitor.get(FACTOR).text

    shown = re.search(r'<code id="secret">([^<]+)</code>', page)[1]
    assert shown.split(" ") == re.findall("....", secret)
    drawn = re.search(r'viewBox="0 0 (\d+) \1".*?<path d="([^"]+)"', page, re.DOTALL)
    made = qr_code(totp.uri(secret, visitor.email))
    assert (int(drawn[1]), drawn[2]) == (made.side, made.path)
    assert "style=" not in page


def test_what_is_drawn_is_the_code_module_by_module():
    text = totp.uri("A" * 32, "somebody@example.com")
    made = qr_code(text)
    dark = set()
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", made.path):
        dark |= {(int(x) + n, int(y)) for n in range(int(width))}

    wanted = segno.make_qr(text, error="l").matrix
    assert made.side == len(wanted) + 8
    assert dark == {
        (x + 4, y + 4) for y, row in enumerate(wanted) for x, one in enumerate(row) if one
    }


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "A code is six digits."),
        ("12345", "A code is six digits."),
        ("<script>", "A code is six digits."),
        ("1" * 5000, "A code is six digits."),
        ("wrong", "A code is six digits."),
        ("a later one", "This code is wrong or was used already."),
    ],
)
def test_a_wrong_code_is_said_next_to_its_field_and_the_secret_stays(shop, visitor, typed, said):
    secret = begun(visitor)
    typed = code_of(shop, secret, 99) if typed == "a later one" else typed

    answer = visitor.send(CODE, FACTOR, code=typed)

    assert answer.status_code == 422
    assert answer.headers["HX-Push-Url"] == "false"
    problem = re.search(
        r'<p class="problem" id="code-problem" role="alert">([^<]+)</p>', answer.text
    )
    assert problem[1].startswith(said)
    assert 'aria-describedby="code-problem code-about" aria-invalid="true"' in answer.text
    assert secret_on(answer) == secret
    assert is_on(visitor) == "Off"
    assert visitor.send(CODE, FACTOR, code=code_of(shop, secret)).location == "/you?enrolled=1"


def test_the_form_sent_twice_turns_it_on_once(shop, visitor):
    secret = begun(visitor)
    token = hidden(visitor.get(FACTOR), "csrf_token")
    form = {"csrf_token": token, "code": code_of(shop, secret)}

    places = [visitor.client.post(CODE, data=form).location for _ in range(2)]

    assert places == ["/you?enrolled=1"] * 2
    assert is_on(visitor) == "On"


def test_a_new_beginning_makes_a_new_secret_and_the_old_one_counts_no_more(shop, visitor):
    old, new = begun(visitor), begun(visitor)

    assert old != new
    assert visitor.send(CODE, FACTOR, code=code_of(shop, old)).status_code == 422
    assert visitor.send(CODE, FACTOR, code=code_of(shop, new)).location == "/you?enrolled=1"


def test_nothing_is_said_to_be_on_that_is_off(visitor):
    for path in ("/you?enrolled=1", "/numbers?enrolled=1"):
        answer = visitor.get(path)
        assert answer.status_code == 200
        assert "Your second factor is on" not in answer.text


def test_removing_it_needs_a_code_that_was_not_used(shop, visitor):
    secret = enrolled(shop, visitor)

    for typed, said in (
        ("", "A code is six digits."),
        (code_of(shop, secret, -1), "This code is wrong or was used already."),
        (code_of(shop, secret, 99), "This code is wrong or was used already."),
    ):
        answer = visitor.send(REMOVAL, REMOVAL, code=typed)
        assert answer.status_code == 422
        assert said in answer.text
        assert is_on(visitor) == "On"
    answer = visitor.send(REMOVAL, REMOVAL, code=code_of(shop, secret))

    assert answer.location == "/you?removed=1"
    assert "Your second factor is off." in visitor.get(answer.location).text
    assert is_on(visitor) == "Off"
    assert visitor.sign_in().location == "/numbers"


def test_an_open_session_is_no_place_to_try_all_codes(shop, visitor):
    secret = enrolled(shop, visitor)

    tries = [visitor.send(REMOVAL, REMOVAL, code=code_of(shop, secret, 99)) for _ in range(11)]

    assert [answer.status_code for answer in tries] == [422] * 10 + [429]
    assert "That was too often" in tries[-1].text
    right = visitor.send(REMOVAL, REMOVAL, code=code_of(shop, secret))
    assert (right.status_code, is_on(visitor)) == (429, "On")


def test_an_open_session_is_not_enough_to_replace_a_second_factor(shop, visitor):
    secret = enrolled(shop, visitor)
    token = {"X-CSRF-Token": visitor.get("/v1/session").json["csrf_token"]}

    answer = visitor.client.post("/v1/users/me/totp", json={}, headers=token)

    assert (answer.status_code, answer.json["code"]) == (409, "totp_enrolled")
    assert visitor.send(FACTOR, "/you").location == "/you"
    assert visitor.get(FACTOR).location == "/you"
    assert visitor.send(REMOVAL, REMOVAL, code=code_of(shop, secret)).location == "/you?removed=1"


def test_pages_about_what_is_not_there_lead_back(visitor):
    assert visitor.get(FACTOR).location == "/you"
    assert visitor.get(REMOVAL).location == "/you"


def test_who_lost_the_phone_is_removed_and_invited_again(shop, visitor):
    enrolled(shop, visitor)
    email = f"second-{visitor.email}"
    assert visitor.api.post("/v1/users", {"email": email, "role": "owner"}).status_code == 201
    lost = next(u for u in visitor.api.get("/v1/users").json["data"] if u["email"] == visitor.email)
    assert visitor.api.ask("DELETE", f"/v1/users/{lost['id']}").status_code == 204
    assert (
        visitor.api.post("/v1/users", {"email": visitor.email, "role": "owner"}).status_code == 201
    )

    form = {"password": PASSWORD, "repeat": PASSWORD}
    visitor.client.post(f"/invitations/{shop.mails()[0]['token']}", data=form)

    assert visitor.sign_in().location == "/numbers"
    assert is_on(visitor) == "Off"


# ── What nobody else may do or see ────────────────────────────────────────────────────────────────


def rules_of(shop):
    for rule in shop.app.url_map.iter_rules():
        if rule.rule.startswith("/you"):
            yield (rule.methods & {"GET", "POST"}).pop(), rule.rule, rule.endpoint


def test_every_page_and_form_is_for_who_signed_in_and_forms_need_the_token(shop, visitor):
    rules = list(rules_of(shop))
    headers = {"Authorization": f"Bearer {visitor.api.key}"} | BROWSER

    assert len(rules) == 9
    for method, path, endpoint in rules:
        assert who_may_call(shop.app.view_functions[endpoint]) is Who.SIGNED_IN, path
        stranger = shop.visitor.open(path, method=method, headers=BROWSER)
        assert stranger.location.startswith("/login?next="), path
        program = shop.visitor.open(path, method=method, headers=headers, data={"code": "123456"})
        assert program.status_code == 403, path
        assert "<code>role_required</code>" in program.text, path
        if method == "POST":
            answer = visitor.client.post(path, data={"code": "123456"}, headers=BROWSER)
            assert answer.status_code == 403, path
            assert "<code>csrf_failed</code>" in answer.text, path


@pytest.mark.parametrize("begins", [True, False])
def test_who_sees_as_an_account_changes_nothing_of_the_own_sign_in(shop, begins):
    staff = staff_of(shop)
    secret = begun(staff) if begins else enrolled(shop, staff)
    account = signed_in(shop).get("/v1/session").json["account_id"]
    staff.send(f"/office/accounts/{account}/look", f"/office/accounts/{account}")
    page = staff.get("/you")

    assert f"<dd>{staff.email}</dd>" in page.text
    assert "nothing here can be changed" in page.text
    for path in ("/you/second-factor", CHANGE, "/you/sessions"):
        assert path not in page.text
    for path in (FACTOR, REMOVAL, CHANGE):
        assert staff.get(path).location == "/you", path
    token = hidden(page, "csrf_token")
    for path in (FACTOR, CODE, REMOVAL, CHANGE, "/you/sessions"):
        data = {"csrf_token": token, "code": code_of(shop, secret)}
        answer = staff.client.post(path, data=data, headers=BROWSER)
        assert answer.status_code == 403, path
        assert "<code>looking_only</code>" in answer.text, path
    assert is_on(staff) == ("Off" if begins else "On")


def test_the_secret_is_in_no_address_no_log_and_no_cache(shop, visitor, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    begin = visitor.send(FACTOR, "/you", next="/billing")
    shown = visitor.get(begin.location)
    secret = secret_on(shown)
    wrong = visitor.send(CODE, FACTOR, code="000000")
    right = visitor.send(CODE, FACTOR, code=code_of(shop, secret))
    said = capfd.readouterr()

    for answer in (begin, shown, wrong, right):
        assert answer.headers["Cache-Control"] == "no-store"
        assert secret not in str(answer.headers)
    assert secret not in said.out + said.err + caplog.text
    for path in ("/you", "/numbers", REMOVAL):
        assert secret not in visitor.get(path).text


@pytest.mark.parametrize("away", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_nobody_is_sent_to_another_site_afterwards(shop, visitor, away):
    secret = begun(visitor, next=away)

    answer = visitor.send(CODE, FACTOR, code=code_of(shop, secret), next=away)

    assert answer.location == "/you?enrolled=1"
    assert "evil" not in visitor.get("/you", query_string={"next": away}).text


# ── Live mode ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def live(shop):
    """The same installation, as if it were live."""
    surroundings = shop.app.extensions["pbxim"]
    runtime = replace(surroundings.runtime, settings=replace(surroundings.settings, mode="live"))
    return create_app(runtime, shop.world.client, shop.world.assembly.status)


@pytest.fixture
def newcomer(shop, live):
    """Staff of a live installation, without a second factor, not signed in."""
    known = staff_of(shop)
    return Visitor(live.test_client(), known.email, known.api)


def test_staff_of_a_live_installation_is_led_here_and_on_to_where_it_wanted(shop, newcomer):
    landed = newcomer.sign_in("/office/orders").location
    page = newcomer.get(landed)

    assert landed == "/you?next=%2Foffice%2Forders"
    assert (
        "Staff needs a second factor, because it reaches every account: set it up to go on."
        in page.text
    )
    assert 'href="/office"' not in page.text
    secret = begun(newcomer, next=hidden(page, "next"))
    target = hidden(newcomer.get(f"{FACTOR}?next=/office/orders"), "next")
    wrong = newcomer.send(CODE, FACTOR, code="000000", next=target)
    assert hidden(wrong, "next") == "/office/orders"
    done = newcomer.send(CODE, FACTOR, code=code_of(shop, secret), next=target)
    assert done.location == "/office/orders?enrolled=1"
    there = newcomer.get(done.location)
    assert there.status_code == 200
    assert "Your second factor is on." in there.text


def test_without_a_wish_it_goes_on_to_the_back_office(shop, newcomer):
    assert newcomer.sign_in("/").location == "/you?next=%2Foffice"
    secret = begun(newcomer)
    office = newcomer.send(CODE, FACTOR, code=code_of(shop, secret), next="/office").location
    there = newcomer.get(office).location

    assert there == "/office/accounts?enrolled=1"
    assert "Your second factor is on." in newcomer.get(there).text


def test_until_then_staff_may_do_nothing_else(shop, live, newcomer):
    newcomer.sign_in()
    token = hidden(newcomer.get("/you"), "csrf_token")
    before, led = shop.world.log.head(), 0

    for rule in live.url_map.iter_rules():
        who = who_may_call(live.view_functions[rule.endpoint])
        if who in {Who.ANYONE, Who.SIGNED_IN, Who.LEAVING}:
            continue
        path = re.sub(r"<[^>]+>", "x_1", rule.rule)
        for method in rule.methods & {"GET", "POST", "PUT", "PATCH", "DELETE"}:
            data = {"csrf_token": token}
            answer = newcomer.client.open(path, method=method, data=data, headers=BROWSER)
            if path.startswith("/v1/"):
                assert answer.json["code"] == "totp_enrolment_required", path
            else:
                assert answer.status_code == 303, path
                assert answer.location.startswith("/you?next="), path
                led += 1

    assert led > 40
    assert shop.world.log.head() == before
    assert newcomer.get("/office/stock?x=1").location == "/you?next=%2Foffice%2Fstock%3Fx%3D1"
    script = {"HX-Request": "true", "HX-Current-URL": "http://localhost/office/stock"}
    answer = newcomer.get("/office/orders", headers=script)
    assert answer.headers["HX-Redirect"] == "/you?next=%2Foffice%2Fstock"


def test_staff_that_removes_it_is_told_and_closed_out_until_there_is_another(shop, newcomer):
    newcomer.sign_in()
    secret = begun(newcomer)
    newcomer.send(CODE, FACTOR, code=code_of(shop, secret, -1))
    asked = newcomer.get(REMOVAL).text
    removed = newcomer.send(REMOVAL, REMOVAL, code=code_of(shop, secret)).location

    assert "without one you can do nothing but set up another" in asked
    assert "Staff needs a second factor, because" in newcomer.get(removed).text
    assert newcomer.get("/office/accounts").location.startswith("/you?next=")


def test_customers_of_a_live_installation_may_go_without(shop, live):
    known = signed_in(shop)
    customer = Visitor(live.test_client(), known.email, known.api)

    assert customer.sign_in().location == "/numbers"
    assert "Staff needs" not in customer.get("/you").text


# ── Password and sessions ─────────────────────────────────────────────────────────────────────────


def elsewhere_of(shop, visitor):
    """The same person in another browser."""
    other = Visitor(shop.visitor, visitor.email, visitor.api)
    assert other.sign_in().status_code == 303
    return other


def alert_on(answer):
    return re.search(r'role="alert" id="password-problem">([^<]*)<', answer.text)[1]


def test_a_password_is_changed_and_the_other_browsers_are_signed_out(shop, visitor):
    other = elsewhere_of(shop, visitor)

    done = visitor.send(CHANGE, CHANGE, current=PASSWORD, password=NEW, repeat=NEW)

    assert done.location == "/you?changed=1"
    page = visitor.get(done.location).text
    assert "Your password is changed. You are signed out everywhere else." in page
    assert other.get("/you", headers=BROWSER).location.startswith("/login")
    assert other.sign_in().location.startswith("/login?error=credentials_wrong")
    form = {"email": visitor.email, "password": NEW, "next": "/numbers"}
    assert other.client.post("/login", data=form).location == "/numbers"


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"current": "not this one"}, "current", "This is not your password."),
        ({"current": ""}, "current", "This is not your password."),
        ({"repeat": NEW + "!"}, "repeat", "The two passwords are not the same."),
        ({"password": "short", "repeat": "short"}, "password", "A password has 15 to 512"),
    ],
)
def test_what_is_wrong_is_said_next_to_its_field_and_nothing_typed_comes_back(
    shop, visitor, fields, field, said
):
    other = elsewhere_of(shop, visitor)
    form = {"current": PASSWORD, "password": NEW, "repeat": NEW} | fields

    answer = visitor.send(CHANGE, CHANGE, **form)

    assert answer.status_code == 422
    assert answer.headers["HX-Push-Url"] == "false"
    assert alert_on(answer).startswith(said)
    marked = re.findall(r'name="(\w+)"[^>]*aria-invalid="true"', answer.text)
    assert marked == [field]
    assert NEW not in answer.text
    assert PASSWORD not in answer.text
    assert other.get("/you").status_code == 200


def test_the_sessions_are_listed_and_the_others_ended(shop, visitor):
    assert "Sign out everywhere else" not in visitor.get("/you").text
    other = elsewhere_of(shop, visitor)
    page = visitor.get("/you").text
    assert len(re.findall(r"<li><span>Since [^<]+<small>Last seen ", page)) == 2
    assert page.count(">Here<") == 1

    done = visitor.send("/you/sessions", "/you")

    page = visitor.get(done.location).text
    assert "You are signed out everywhere else." in page
    assert "Sign out everywhere else" not in page
    assert other.get("/you", headers=BROWSER).location.startswith("/login")

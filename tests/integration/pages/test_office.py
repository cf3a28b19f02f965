"""The back office without a browser: who may, what it shows, what seeing as an account allows."""

import re
import uuid
from datetime import datetime, timedelta

import pytest

from services.gateway.app import create_app
from services.gateway.identity import Who, who_may_call
from services.gateway.state import run
from services.gateway.state import session as session_table
from tests.integration.gateway.sites import STOCK
from tests.integration.pages.visitors import hidden, signed_in, staff_of, viewer_of

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PLACES = ("accounts", "accounts/new", "stock", "stock/import", "orders", "outbox", "clock")


@pytest.fixture
def staff(shop):
    return staff_of(shop)


def office_rules(shop):
    """Every page and form of the back office: method and address."""
    for rule in shop.app.url_map.iter_rules():
        if rule.rule.startswith("/office"):
            path = re.sub(r"<[^>]+>", "x_1", rule.rule)
            yield (
                (rule.methods & {"GET", "POST"}).pop(),
                path,
                shop.app.view_functions[rule.endpoint],
            )


def test_every_page_and_form_is_for_staff_alone(shop):
    rules = list(office_rules(shop))
    owner, viewer = signed_in(shop), viewer_of(shop)

    assert len(rules) >= 18
    for method, path, view in rules:
        stop = path == "/office/look/stop"
        assert who_may_call(view) is (Who.LEAVING if stop else Who.STAFF), path
        stranger = shop.visitor.open(path, method=method, headers=BROWSER)
        assert stranger.status_code == 303, path
        assert stranger.location.startswith("/login"), path
        for visitor in () if stop else (owner, viewer):
            token = hidden(visitor.get("/numbers"), "csrf_token")
            data = {"csrf_token": token} if method == "POST" else None
            answer = visitor.client.open(path, method=method, data=data, headers=BROWSER)
            assert answer.status_code == 403, path
            assert "<code>staff_only</code>" in answer.text, path


@pytest.mark.parametrize("path", [f"/office/{place}" for place in PLACES])
def test_staff_sees_every_page(staff, path):
    answer = staff.get(path)

    assert answer.status_code == 200
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_staff_lands_in_the_back_office_and_finds_it_in_the_menu(shop, staff):
    assert staff.sign_in().location == "/office"
    assert staff.get("/").location == "/office"
    assert 'href="/office"' in staff.get("/office/accounts").text
    assert 'href="/office"' not in signed_in(shop).get("/numbers").text
    assert staff.sign_in("/search?country=US").location == "/search?country=US"


def test_forms_of_the_back_office_need_the_token_of_the_session(shop, staff):
    for path in ("/office/accounts", "/office/stock/import", "/office/clock"):
        assert staff.client.post(path, data={}).status_code == 403, path


# ── Accounts ──────────────────────────────────────────────────────────────────────────────────────


def opened(staff, **fields):
    named = {"name": "A & B <Ltd>", "country": "NL", "form_key": uuid.uuid4().hex}
    named["email"] = f"{uuid.uuid4().hex[:12]}@example.com"
    return staff.send("/office/accounts", "/office/accounts/new", **named | fields)


def test_an_account_is_opened_and_its_key_shown_once(shop, staff):
    key = uuid.uuid4().hex
    answer = opened(staff, email="boss@example.nl", form_key=key)
    secret = re.search(r'id="api-key">(pbx_[\w-]+)<', answer.text)[1]
    shop.settle()

    headers = {"Authorization": f"Bearer {secret}"}
    account = shop.visitor.get("/v1/session", headers=headers).json["account_id"]
    assert "A &amp; B &lt;Ltd&gt;" in answer.text
    assert answer.headers["HX-Push-Url"] == f"/office/accounts/{account}"
    assert shop.mails()[0]["to"] == "boss@example.nl"
    # The same form again neither opens another account nor ends the key that is in use.
    again = opened(staff, email="boss@example.nl", form_key=key)
    assert again.location == f"/office/accounts/{account}?again=1"
    assert shop.visitor.get("/v1/session", headers=headers).status_code == 200
    assert secret not in staff.get(again.location).text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"email": "no mail"}, "Correct these fields: E-mail."),
        ({"name": ""}, "Correct these fields: Name."),
        ({"country": "Holland"}, "Correct these fields: Country."),
        ({"time_zone": "Mars/Base"}, "Correct these fields: Time zone."),
    ],
)
def test_a_form_that_cannot_be_used_says_which_fields(staff, wrong, said):
    answer = opened(staff, **wrong)

    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="A &amp; B &lt;Ltd&gt;"' in answer.text or "name" in wrong


def test_an_account_is_found_by_its_id_and_by_a_user_s_e_mail(shop, staff):
    visitor = signed_in(shop, "Findable")
    account = visitor.get("/v1/session").json["account_id"]

    for q in (account, visitor.email, visitor.email.upper()):
        page = staff.get("/office/accounts", query_string={"q": q}).text
        assert f"/office/accounts/{account}" in page, q
    for q in ("acct_staff", staff.email, "nobody@example.com", "<script>"):
        page = staff.get("/office/accounts", query_string={"q": q}).text
        assert "No such account" in page, q
        assert "<script>" not in page.replace("<script src", "")


# ── Seeing as an account ──────────────────────────────────────────────────────────────────────────


def look(shop, staff):
    """Staff that sees as the account of a new customer."""
    customer = signed_in(shop, "Seen <b>Company</b>")
    account = customer.get("/v1/session").json["account_id"]
    path = f"/office/accounts/{account}"
    assert staff.send(f"{path}/look", path).location == "/numbers"
    return customer, account


def banner(answer) -> str:
    found = re.search(r'<section class="looking".*?</section>', answer.text, re.DOTALL)
    return re.sub(r"\s+", " ", found[0]) if found else ""


def test_staff_sees_the_pages_of_the_account_loudly(shop, staff):
    _customer, account = look(shop, staff)

    for path in ("/numbers", "/search?country=US", "/billing", "/numbers/nobodys"):
        said = banner(staff.get(path, headers=BROWSER))
        assert f"as {staff.email}." in said, path
        assert "Stop" in said, path
    assert "Seen &lt;b&gt;Company&lt;/b&gt;" in banner(staff.get("/numbers"))
    found = staff.get("/v1/session").json
    assert (found["account_id"], found["role"]) == (account, "viewer")


def test_a_customer_sees_no_banner(shop):
    assert banner(signed_in(shop).get("/numbers")) == ""


def test_who_sees_as_an_account_changes_nothing_anywhere(shop, staff):
    look(shop, staff)
    token = staff.get("/v1/session").json["csrf_token"]
    before = shop.world.log.head()
    tried = 0

    for rule in shop.app.url_map.iter_rules():
        for method in rule.methods & {"POST", "PUT", "PATCH", "DELETE"}:
            who = who_may_call(shop.app.view_functions[rule.endpoint])
            if who in {Who.ANYONE, Who.LEAVING, Who.MEMBER}:
                continue
            path = re.sub(r"<[^>]+>", "x_1", rule.rule)
            headers = {"X-CSRF-Token": token, "Idempotency-Key": uuid.uuid4().hex}
            answer = staff.client.open(path, method=method, json={}, headers=headers)
            assert answer.status_code == 403, path
            assert "looking_only" in answer.text, path
            tried += 1

    assert tried > 35
    assert shop.world.log.head() == before
    assert banner(staff.get("/numbers"))


def test_the_services_refuse_it_too(shop, staff):
    """Should a route forget to ask, the call context is that of a viewer."""
    look(shop, staff)
    call = shop.world.client.call
    seen = []

    def noted(service, method, context, **arguments):
        seen.append(context)
        return call(service, method, context, **arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.world.client, "call", noted)
        staff.get("/numbers")

    assert {c.roles for c in seen} == {("viewer",)}
    assert {c.actor for c in seen} == {_user(staff)}


def test_the_back_office_is_closed_meanwhile(shop, staff):
    look(shop, staff)

    answer = staff.get("/office/accounts", headers=BROWSER)

    assert answer.status_code == 403
    assert "<code>staff_only</code>" in answer.text


def test_another_account_cannot_be_named_meanwhile(shop, staff):
    look(shop, staff)
    other = shop.customer().account_id

    answer = staff.get("/v1/numbers", headers={"Pbx-Account": other})

    assert answer.json["code"] == "staff_only"


def looks_of(staff, account):
    page = staff.get(f"/office/accounts/{account}").text
    table = page[page.index('id="looked"') :]
    return re.findall(r"<tr role=\"row\">\s*<th role=\"rowheader\".*?</tr>", table, re.DOTALL)


def test_stop_ends_it_and_who_looked_is_listed(shop, staff):
    customer, account = look(shop, staff)
    other = staff_of(shop)
    assert "still looking" in looks_of(other, account)[0]

    answer = staff.send("/office/look/stop", "/numbers")

    assert answer.location == f"/office/accounts/{account}"
    assert banner(staff.get(answer.location)) == ""
    (seen,) = looks_of(staff, account)
    assert staff.email in seen
    assert "still looking" not in seen
    assert staff.send("/office/look/stop", "/office/accounts").location == "/"
    assert "looked" not in customer.get("/numbers").text


def test_stop_needs_the_token_of_the_session(shop, staff):
    look(shop, staff)

    assert staff.client.post("/office/look/stop").status_code == 403
    assert banner(staff.get("/numbers"))


def test_signing_out_ends_it(shop, staff):
    _customer, account = look(shop, staff)
    staff.send("/logout", "/numbers")
    staff.sign_in()

    assert banner(staff.get("/office/accounts")) == ""
    assert "still looking" not in looks_of(staff, account)[0]


def test_signing_in_again_ends_it(shop, staff):
    _customer, account = look(shop, staff)
    staff.sign_in()

    assert banner(staff.get("/office/accounts")) == ""
    assert "still looking" not in looks_of(staff, account)[0]


def test_the_end_of_the_session_ends_it(shop, staff):
    _customer, account = look(shop, staff)
    other = staff_of(shop)
    run(shop.world.state, session_table.delete().where(session_table.c.user_id == _user(staff)))

    assert staff.get("/numbers").location.startswith("/login")
    assert "the session ended" in looks_of(other, account)[0]


def _user(staff):
    users = staff.api.get("/v1/users").json["data"]
    return next(u["id"] for u in users if u["email"] == staff.email)


def test_no_cookie_says_as_whom_staff_sees(shop, staff):
    before = staff.client.get_cookie("pbxim").value
    look(shop, staff)

    assert staff.client.get_cookie("pbxim").value == before
    assert [c.key for c in staff.client._cookies.values()] == ["pbxim"]


def test_an_owner_cannot_see_as_somebody(shop):
    owner = signed_in(shop)
    other = shop.customer().account_id

    answer = owner.send(f"/office/accounts/{other}/look", "/numbers")

    assert answer.status_code == 403
    assert banner(owner.get("/numbers")) == ""


def test_who_looked_at_whom_is_a_line_of_the_log(shop, staff, capfd):
    _customer, account = look(shop, staff)
    staff.send("/office/look/stop", "/numbers")

    said = capfd.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if account in line]
    assert any("account_looked_at" in line and _user(staff) in line for line in lines)
    assert any("account_look_ended" in line for line in lines)


# ── Stock ─────────────────────────────────────────────────────────────────────────────────────────

MORE = "US,NY,Buffalo,716,geographic,+17165550100,5,true,0,1,1,0,0,USD,60/1\n"
WRONG = "US,NY,Buffalo,716,geographic,+12125559999,5,true,0,1,1,0,0,USD,60/1\n"


def imported(shop, staff, text, **more):
    answer = staff.send(
        "/office/stock/import", "/office/stock/import", csv=text, form_key="k", **more
    )
    shop.settle()
    return answer


def test_a_file_becomes_a_job_that_names_the_wrong_rows(shop, staff):
    answer = imported(shop, staff, STOCK + WRONG)
    page = staff.get(answer.location).text

    assert answer.location.startswith("/office/stock/imports/job_")
    assert '<progress value="4" max="4"' in page
    assert "<code>area_code_mismatch</code>" in page
    assert "2125559999 does not begin with 716." in page
    assert "Correct area_code." in page
    assert re.search(r'data-label="Line">5<', page)
    assert "hx-trigger" not in page.split('id="job"')[1].split(">")[0]


def test_a_file_that_waits_is_looked_at_again_and_again(shop, staff):
    answer = staff.send("/office/stock/import", "/office/stock/import", csv=STOCK, form_key="w")
    page = staff.get(answer.location).text
    shop.settle()

    assert "Waiting to begin" in page
    assert 'hx-trigger="every 1s"' in page
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "Done" in staff.get(answer.location).text


def test_the_same_form_is_the_same_job_and_another_file_is_another(shop, staff):
    first, again = imported(shop, staff, STOCK), imported(shop, staff, STOCK)
    other = imported(shop, staff, STOCK + WRONG)

    assert first.location == again.location
    assert other.location != first.location


def test_a_file_is_uploaded_with_a_byte_order_mark_too(shop, staff):
    import io

    file = (io.BytesIO(b"\xef\xbb\xbf" + STOCK.encode()), "stock.csv")
    answer = imported(shop, staff, "", file=file)

    assert "Done" in staff.get(answer.location).text


def test_a_file_may_be_larger_than_other_forms(shop, staff):
    token = hidden(staff.get("/office/stock/import"), "csrf_token")
    padding = f"{'x' * 10_000}\n" * 110
    fields = {'name="csrf_token"': token, 'name="form_key"': "large"}
    fields['name="file"; filename="stock.csv"'] = STOCK + padding
    parts = [
        f"--b\r\nContent-Disposition: form-data; {n}\r\n\r\n{v}\r\n" for n, v in fields.items()
    ]
    body = "".join([*parts, "--b--\r\n"]).encode()

    for path, status in (("/office/stock/import", 303), ("/office/clock", 413)):
        answer = staff.client.post(path, data=body, content_type="multipart/form-data; boundary=b")
        assert answer.status_code == status, path
        shop.settle()
        if status == 303:
            assert "113 of 113 rows" in staff.get(answer.location).text


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("country,city\nUS,New York\n", "csv_header_wrong", "missing: region"),
        ("", "csv_empty", "The file has no rows"),
        (STOCK.splitlines()[0] + "\n", "csv_empty", "The file has no rows"),
    ],
)
def test_a_file_that_is_none_is_refused_with_what_is_wrong(shop, staff, text, code, said):
    answer = imported(shop, staff, text)

    assert answer.status_code == 422
    assert f"<code>{code}</code>" in answer.text
    assert said in answer.text
    assert text.strip().replace("&", "&amp;") in answer.text


def test_a_file_that_is_no_text_is_refused(shop, staff):
    import io

    answer = imported(shop, staff, "", file=(io.BytesIO(b"\xff\xfe\x00"), "stock.csv"))

    assert answer.status_code == 422
    assert "not UTF-8" in answer.text


def test_the_template_can_be_imported(shop, staff):
    page = staff.get("/office/stock/import").text
    with staff.get(re.search(r'href="(/assets/[^"]+stock-template.csv)"', page)[1]) as template:
        header, row = template.text.splitlines()

    assert template.mimetype == "text/csv"
    assert header == STOCK.splitlines()[0]
    assert len(row.split(",")) == len(header.split(","))


def test_the_picture_shows_what_the_table_says(shop, staff):
    shop.customer()
    page = staff.get("/office/stock").text
    table = page[page.index('id="stock-table"') :]

    assert "United States" in table
    assert "Netherlands" in table
    bars = re.findall(r'<text x="0" y="\d+" class="label">([^<]+)</text>', page)
    assert bars == ["Netherlands · Geographic", "United States · Geographic"]
    assert len(re.findall(r"<polyline", page)) == 2
    widths = [float(w) for w in re.findall(r'width="([\d.]+)%" height="12" class="part', page)]
    assert len(widths) >= 3
    assert all(0 < w <= 100 for w in widths)
    assert "style=" not in page
    for part in ("<title id=", "<desc id="):
        assert page.count(part) == 3


def test_without_stock_the_page_says_how_to_begin(tmp_path):
    from tests.integration.gateway.sites import make_site

    empty = make_site(tmp_path / "data")
    page = staff_of(empty).get("/office/stock").text
    empty.stop()

    assert "Nothing is stocked" in page
    assert 'href="/office/stock/import"' in page


# ── Orders, outbox, clock ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["/numbers", "/numbers.csv", "/search?country=US", "/billing", "/orders/x", "/port-in"]
)
def test_staff_that_sees_as_nobody_is_led_from_a_customer_s_page_to_the_back_office(staff, path):
    assert staff.get(path, headers=BROWSER).location == "/office"


def test_a_list_left_open_after_seeing_as_an_account_is_not_filled_with_others(shop, staff):
    signed_in(shop)

    answer = staff.get("/numbers/changes?after=x", headers={"Pbx-Background": "true"})

    assert answer.status_code == 400
    assert "account_needed" in answer.text


def test_no_order_needs_anybody(staff):
    assert "No order needs you" in staff.get("/office/orders").text


def test_the_outbox_shows_mails_with_their_links_page_by_page(shop, staff):
    for _ in range(21):
        signed_in(shop)
    page = staff.get("/office/outbox").text
    older = re.search(r'href="(/office/outbox\?after=\d+)"', page)[1]

    assert len(re.findall("<article", page)) == 20
    mail = shop.mails()[0]
    assert mail["to"] in page
    assert f'<a href="{mail["link"]}"' in page
    assert mail["to"] not in staff.get(older).text


def test_a_place_in_the_outbox_that_is_none_is_said(staff):
    for place in ("soon", "9" * 300):
        answer = staff.get(f"/office/outbox?after={place}", headers=BROWSER)

        assert 400 <= answer.status_code < 500, place
        assert re.search("<code>invalid_(cursor|value)</code>", answer.text), place


def test_the_clock_is_put_forward_by_a_step_or_to_a_date(shop, staff):
    before = datetime.fromisoformat(staff.api.get("/v1/test-clock").json["now"])

    answer = staff.send("/office/clock", "/office/clock", by="day", form_key=uuid.uuid4().hex)
    assert "Going forward to" in staff.get(answer.location).text
    shop.settle()
    page = staff.get(answer.location).text

    assert "It went forward to" in page
    after = datetime.fromisoformat(staff.api.get("/v1/test-clock").json["now"])
    assert after == before + timedelta(days=1)
    day = (after + timedelta(days=3)).date().isoformat()
    staff.send("/office/clock", "/office/clock", to=day, form_key=uuid.uuid4().hex)
    shop.settle()
    now = datetime.fromisoformat(staff.api.get("/v1/test-clock").json["now"])
    assert now == after + timedelta(days=3)


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("", "invalid_value"),
        ("soon", "invalid_value"),
        ("9999-12-31", "invalid_value"),
        ("9999-12-31T23:59:59-23:00", "invalid_value"),
        ("0001-01-01T00:00:00+23:00", "invalid_value"),
        ("2001-01-01", "clock_backwards"),
    ],
)
def test_the_clock_says_why_it_does_not_go(staff, to, code):
    answer = staff.send("/office/clock", "/office/clock", to=to, form_key=uuid.uuid4().hex)

    assert answer.location == f"/office/clock?problem={code}"
    assert f"<code>{code}</code>" in staff.get(answer.location).text


def test_in_live_mode_there_is_no_outbox_and_no_clock(shop, staff, monkeypatch):
    from dataclasses import replace

    surroundings = shop.app.extensions["pbxim"]
    live = replace(surroundings.runtime, settings=replace(surroundings.settings, mode="live"))
    app = create_app(live, shop.world.client, shop.world.assembly.status)
    key = {"Authorization": f"Bearer {staff.api.key}"} | BROWSER
    browser = app.test_client()

    for path in ("/office/outbox", "/office/clock", "/v1/test-clock"):
        answer = browser.get(path, headers=key)
        assert answer.status_code == 404, path
    page = browser.get("/office/accounts", headers=key)
    assert page.status_code == 200
    assert "/office/clock" not in page.text

"""What pages say and where they send somebody, without a browser."""

import re

import pytest

from tests.integration.gateway.sites import make_site
from tests.integration.pages.visitors import PASSWORD, hidden, signed_in

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)",
]
PAGES = ["/numbers", "/search?country=US", "/billing", "/cards/new", "/you"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_in_a_company_s_name_stays_text(shop, payload):
    visitor = signed_in(shop, payload)

    for path in PAGES:
        page = visitor.get(path).text
        assert payload not in page, path


def test_a_template_in_a_name_is_not_run(shop):
    page = signed_in(shop, "{{ 7*7 }}{% raw %}").get("/numbers").text

    assert 'class="account">{{ 7*7 }}{% raw %}</span>' in page


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_in_an_address_stays_text(visitor, payload):
    queries = {
        "/search": {"country": "US", "city": payload, "digits": payload, "open": payload},
        "/numbers": {"q": payload, "label": payload, "status": payload, "after": ""},
        "/login": {"next": payload, "error": payload},
        "/cards/new": {"next": "/" + payload, "problem": payload},
        "/checkout/qt_x": {"back": payload},
    }

    for path, query in queries.items():
        assert payload not in visitor.get(path, query_string=query).text, path


def test_markup_in_labels_and_notes_stays_text(shop, visitor):
    number = shop.world.settle() or visitor.api.get("/v1/numbers").json["data"][0]["number"]
    body = {"labels": ["<b>loud</b>"], "description": PAYLOADS[0]}
    assert visitor.api.ask("PATCH", f"/v1/numbers/{number}", json=body).status_code == 200
    shop.settle()

    for path in ("/numbers", f"/numbers/{number}"):
        page = visitor.get(path).text
        assert "&lt;b&gt;loud&lt;/b&gt;" in page
        assert "<b>loud" not in page
        assert PAYLOADS[0] not in page


@pytest.mark.parametrize("path", PAGES)
def test_every_page_names_mode_language_and_support(visitor, path):
    answer = visitor.get(path)

    assert answer.status_code == 200
    assert '<html lang="en">' in answer.text
    assert ">Sandbox</span>" in answer.text
    assert "support@example.com" in answer.text


@pytest.mark.parametrize("path", [*PAGES, "/login", "/numbers/nobodys"])
def test_a_page_allows_no_inline_code(visitor, path):
    policy = visitor.get(path).headers["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy


def test_a_stranger_is_sent_to_sign_in_and_comes_back(shop):
    stranger = shop.visitor

    answer = stranger.get("/search?country=US&city=New+York")

    assert answer.status_code == 303
    assert answer.location == ("/login?next=%2Fsearch%3Fcountry%3DUS%26city%3DNew%2BYork&needed=1")


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(shop, visitor):
    visitor.client.delete_cookie("pbxim")
    headers = {"Referer": "http://localhost/checkout/qt_1"}

    answer = visitor.client.post("/checkout/qt_1/extend", headers=headers)

    assert answer.location == "/login?next=%2Fcheckout%2Fqt_1&ended=1"
    assert "Your session has ended." in visitor.get(answer.location).text


def test_a_script_that_asks_after_the_session_ended_moves_the_whole_page(shop):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/orders/ord_1"}

    answer = shop.visitor.get("/orders/ord_1", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=%2Forders%2Ford_1&ended=1"


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_signing_in_leads_to_a_page_of_this_site_only(shop, visitor, target):
    assert "evil" not in visitor.sign_in(target).location
    assert "evil" not in visitor.get("/login", query_string={"next": target}).location


def explained(answer, status, code):
    assert answer.status_code == status
    assert answer.content_type.startswith("text/html")
    assert f"<code>{code}</code>" in answer.text
    assert f"<code>{answer.headers['Request-Id']}</code>" in answer.text
    assert "support@example.com" in answer.text
    return True


def test_errors_are_pages_with_code_and_request_id(visitor):
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    assert explained(visitor.get("/no-such-page", headers=browser), 404, "route_unknown")
    assert explained(visitor.get("/numbers/num_nobodys"), 404, "number_unknown")
    assert explained(visitor.get("/checkout/qt_nobodys"), 404, "quote_unknown")
    assert explained(visitor.get("/orders/ord_nobodys"), 404, "order_unknown")
    assert explained(visitor.get("/invitations/used"), 410, "token_invalid")
    assert explained(visitor.get("/checkout", headers=browser), 405, "method_not_allowed")
    assert explained(visitor.client.post("/cards/pm_1/default"), 403, "csrf_failed")


def test_programs_get_problems_and_no_pages(visitor):
    for path, headers in (
        ("/v1/nothing", {"Accept": "text/html"}),
        ("/nothing", {"Accept": "application/json"}),
        ("/nothing", {}),
    ):
        answer = visitor.get(path, headers=headers)
        assert answer.content_type == "application/problem+json", path


def test_a_mistake_of_ours_is_a_page_that_tells_nothing_of_it(shop, visitor, monkeypatch):
    shop.app.config["PROPAGATE_EXCEPTIONS"] = False

    def broken(*_args, **_more):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(shop.world.client, "call", broken)
    # The frame of the page asks for the account, too: it does without.
    answer = visitor.get("/billing")

    assert explained(answer, 500, "internal_error")
    assert "secret detail" not in answer.text


def test_too_many_requests_are_a_page(tmp_path):
    shop = make_site(tmp_path / "data", rate_limit="1 per hour")
    visitor = shop.visitor
    visitor.get("/login")

    answer = visitor.get("/login")

    assert explained(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
    shop.stop()


def test_nothing_chosen_leads_back_to_the_search(visitor):
    answer = visitor.send("/checkout", "/search?country=US", country="US", city="New York")

    assert answer.location == "/search?country=US&city=New+York&show=20&problem=nothing"
    assert "Choose a quantity or a number first." in visitor.get(answer.location).text


def test_a_refusal_leads_back_to_the_search_with_what_was_chosen(shop, visitor):
    chosen = {f"quantity.{shop.offer('Albany')['offer_id']}": "9"}

    answer = visitor.send("/checkout", "/search?country=US", country="US", **chosen)
    page = visitor.get(answer.location).text

    assert answer.location.endswith("problem=number_gone")
    assert "Search again and pick other numbers." in page
    assert "<code>number_gone</code>" in page


def test_the_same_form_sent_twice_holds_once(shop, visitor):
    page = visitor.get("/search?country=US")
    offer = shop.offer()
    fields = {
        "csrf_token": hidden(page, "csrf_token"),
        "form_key": hidden(page, "form_key"),
        "country": "US",
        f"quantity.{offer['offer_id']}": "2",
    }

    places = {visitor.client.post("/checkout", data=fields).location for _ in range(2)}
    shop.settle()
    other = visitor.client.post("/checkout", data=fields | {"number": "+15185550100"}).location

    assert len(places) == 1
    assert shop.offer()["available"] == offer["available"] - 2
    assert other not in places


def test_a_card_that_cannot_be_one_leads_back_to_the_checkout(shop, visitor):
    form = {f"quantity.{shop.offer()['offer_id']}": "1"}
    checkout = visitor.send("/checkout", "/search?country=US", country="US", **form).location
    checkout = checkout.split("?")[0]

    answer = visitor.send(f"{checkout}/buy", "/search", payment_method_id="pm" * 4000)

    assert answer.location == f"{checkout}?problem=invalid_value"
    assert "<code>invalid_value</code>" in visitor.get(answer.location).text


def test_buying_without_a_card_asks_for_one_and_comes_back(shop, visitor):
    chosen = {f"quantity.{shop.offer()['offer_id']}": "1"}
    checkout = visitor.send("/checkout", "/search?country=US", country="US", **chosen).location
    shop.settle()

    page = visitor.get(checkout).text
    answer = visitor.send(checkout.split("?")[0] + "/buy", "/search?country=US")

    assert "There is no card yet." in page
    assert answer.location == f"/cards/new?next={checkout.split('?')[0].replace('/', '%2F')}"


def test_a_search_that_cannot_be_made_says_so(visitor):
    assert "use 3 to 10 digits" in visitor.get("/search?country=US&digits=1").text
    assert "Nothing on sale fits" in visitor.get("/search?country=US&city=Nowhere").text
    assert "Nothing on sale fits" in visitor.get("/search?country=ZZ").text


def test_results_have_the_columns_of_the_product_page(visitor):
    page = visitor.get("/search?country=US&city=New+York").text

    heads = re.findall(r'scope="col"[^>]*>(?:<button[^>]*>)?([^<]*)<', page)
    assert heads == [
        "Prefix/Number",
        "City",
        "Type",
        "Setup",
        "Monthly",
        "Min. Period",
        "Minute",
        "Connect",
        "SMS",
        "Available",
        "Quantity",
        "Unit Cost",
    ]
    assert "+1 (212) XXX-XX-XX" in page
    assert "$0.0085" in page
    quantity = re.findall(r"<select name=\"quantity.*?</select>", page, re.DOTALL)[0]
    assert quantity.count("<option") == 11


def test_asking_for_a_reset_says_the_same_to_everybody(shop, visitor):
    known = shop.visitor.post("/password-resets", data={"email": visitor.email})
    unknown = shop.visitor.post("/password-resets", data={"email": "nobody@example.com"})

    assert known.location == unknown.location == "/password-resets?asked=1"
    assert shop.mails()[0]["kind"] == "password_reset"


def test_a_password_that_is_too_short_spends_no_link(shop, visitor):
    shop.visitor.post("/password-resets", data={"email": visitor.email})
    link = f"/password-resets/{shop.mails()[0]['token']}"

    short = shop.visitor.post(link, data={"password": "short", "repeat": "short"})
    good = shop.visitor.post(link, data={"password": PASSWORD, "repeat": PASSWORD})

    assert short.status_code == 422
    assert "15 to 512 characters" in short.text
    assert good.location == "/login?chosen=1"


def test_files_are_kept_for_ever_under_the_address_of_their_content(shop):
    page = shop.visitor.get("/login").text
    address = re.search(r'href="(/assets/[0-9a-f]{12}/css/layout.css)"', page)[1]

    assert "immutable" in shop.visitor.get(address, buffered=True).headers["Cache-Control"]
    old = re.sub(r"[0-9a-f]{12}", "000000000000", address)
    assert shop.visitor.get(old, buffered=True).headers["Cache-Control"] == "no-cache"
    assert shop.visitor.get("/assets/x/../pages/cards.py").status_code == 404

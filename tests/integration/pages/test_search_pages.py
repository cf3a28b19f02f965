"""Search and checkout as pages: what is chosen, what is gone, what to do when nothing fits."""

import re
from html import unescape

import pytest

from services.gateway.pages.rendering import environment
from services.gateway.pages.search_query import SORTS
from services.orders.domain.periods import first_periods
from shared.phone import display
from shared.platform import AdvanceClock
from shared.refusals import refusal
from shared.runtime import Progress
from tests.integration.gateway.sites import STOCK, make_site
from tests.integration.pages.visitors import signed_in


def stocked(folder, csv):
    site = make_site(folder / "data")
    headers = {"Idempotency-Key": "stock", "Content-Type": "text/csv"}
    assert (
        site.staff().ask("POST", "/v1/stock/imports", data=csv, headers=headers).status_code == 202
    )
    site.settle()
    return site


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An installation with so much stock that the tests do not get into each other's way."""
    made = stocked(tmp_path_factory.mktemp("shop"), STOCK.replace(",50,true", ",400,true"))
    yield made
    made.stop()


def choice(shop, city="New York", quantity="1"):
    return {f"quantity.{shop.offer(city)['offer_id']}": quantity}


def free(shop, city="New York", **wanted):
    """A number of a city that is not taken, or the numbers of a run."""
    path = f"/v1/available-numbers/{shop.offer(city)['offer_id']}/numbers"
    row = shop.staff().get(path, query_string=wanted).json["data"][-1]
    return row.get("numbers") or row["number"]


def plain(answer):
    """A page without its markup, in one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{s.removeprefix('-')}" for s in SORTS)])
def test_every_column_sorts_and_says_so(visitor, sort):
    page = visitor.get("/search", query_string={"country": "US", "sort": sort}).text

    falls, name = sort.startswith("-"), sort.removeprefix("-")
    state = "descending" if falls else "ascending"
    assert page.count("aria-sort=") == 1
    assert re.search(rf'aria-sort="{state}"><button[^>]*id="sort-{name}"', page)
    assert page.index("Albany") != page.index("New York")


def test_a_sorted_search_keeps_what_is_chosen(shop, visitor):
    fields = choice(shop, quantity="2") | {"country": "US", "sort": "city", "sort_by": "-monthly"}

    answer = visitor.send("/search", "/search?country=US", **fields)
    page = visitor.get(answer.location)

    assert "sort=-monthly" in answer.location
    assert page.text.index("Albany</td>") < page.text.index("New York</td>")
    assert "2 numbers chosen: $2.52 today" in plain(page)


def test_a_row_is_opened_and_shut_by_plain_forms(shop, visitor):
    offer = shop.offer()["offer_id"]

    opened = visitor.send("/search", "/search?country=US", country="US", open=offer).location
    page = visitor.get(opened).text
    shut = visitor.send("/search", opened, country="US", open=offer, shut=offer).location

    assert 'name="shut"' in page
    first, *_, last = free(shop, consecutive="10", limit="1")
    assert "Ten in a row of +1 (212) XXX-XX-XX, New York" in page
    assert f"{display(first)} to {display(last)}" in page
    assert "open=" not in shut


def test_ten_in_a_row_and_one_of_them_are_ten(shop, visitor):
    first, _, third, *_, last = free(shop, consecutive="10")
    fields = {"country": "US", "run": first, "number": third}

    page = visitor.get("/search", query_string=fields)
    checkout = visitor.send("/checkout", "/search?country=US", **fields).location
    shop.settle()

    assert "10 numbers chosen: $12.60 today" in plain(page)
    assert display(last) in visitor.get(checkout).text
    visitor.send(checkout.split("?")[0] + "/release", checkout)


def test_what_is_chosen_elsewhere_can_be_unticked(shop, visitor):
    number = free(shop, "Albany")
    chosen = choice(shop) | {"number": number}

    page = visitor.get("/search", query_string=chosen | {"country": "NL"})

    some = "1 \N{MULTIPLICATION SIGN} +1 (212) XXX-XX-XX, New York"
    assert f"Also chosen {some} {display(number)}, Albany" in plain(page)
    assert "2 numbers chosen: $4.26 today" in plain(page)


def test_totals_are_told_for_each_currency(shop, visitor):
    chosen = choice(shop) | choice(shop, "Amsterdam", "2")

    page = visitor.get("/search", query_string=chosen | {"country": "US"})

    assert "3 numbers chosen: $1.26 today + €11.00 today" in plain(page)


def test_what_is_gone_is_named_and_no_longer_chosen(shop, visitor):
    numbers = free(shop, consecutive="10")
    number = numbers[5]
    other = shop.customer()
    assert other.post("/v1/quotes", {"items": [{"number": number}]}).status_code == 201
    shop.settle()
    fields = choice(shop, "Albany") | {"country": "US", "number": number, "run": numbers[0]}

    answer = visitor.send("/checkout", "/search?country=US", **fields)
    page = visitor.get(answer.location)

    assert answer.location.endswith("problem=number_gone")
    assert "No longer available:" in plain(page)
    assert f"{display(numbers[0])} to {display(numbers[-1])} {display(number)}" in plain(page)
    assert "1 number chosen: $3.00 today" in plain(page)


def test_what_the_refusal_knew_is_known_to_the_page_that_follows(shop, visitor, monkeypatch):
    def wait_for(progress, names, position, _seconds=0):
        if progress.position(names) < position:
            shop.settle()
        return progress.position(names) >= position

    monkeypatch.setattr(Progress, "wait_for", wait_for)
    number = free(shop)
    other = shop.customer()
    assert other.post("/v1/quotes", {"items": [{"number": number}]}).status_code == 201

    answer = visitor.send("/checkout", "/search?country=US", country="US", number=number)
    page = visitor.get(answer.location)

    assert answer.location.endswith("problem=number_gone")
    assert "No longer available: Somebody else was faster." in plain(page)


def test_a_number_that_i_hold_already_leads_to_its_checkout(shop, visitor):
    number = free(shop)
    checkout = visitor.send("/checkout", "/search?country=US", number=number).location
    shop.settle()

    page = visitor.get("/search", query_string={"country": "US", "number": number})

    assert f"{display(number)} is kept for you already." in plain(page)
    assert f'href="{checkout.split("?")[0]}"' in page.text
    assert "No longer available" not in page.text


@pytest.mark.parametrize("number", ["+1", "12125550100", "+19999999999999", "x", "+12125550100;"])
def test_a_number_that_is_none_is_not_chosen(visitor, number):
    page = visitor.get("/search", query_string={"country": "US", "number": number, "run": number})

    assert page.status_code == 200
    assert 'data-number data-unit="' not in page.text
    assert "Choose quantities or pick numbers." in plain(page)


def test_nothing_found_offers_what_is_found_without_one_filter(visitor):
    filters = {"country": "US", "region": "NY", "area_code": "518", "city": "New York"}

    page = visitor.get("/search", query_string=filters)

    assert "Without the area code: 1 offer" in plain(page)
    assert "Without the city: 1 offer" in plain(page)
    assert "Without the state" not in plain(page)
    assert "Without all of these: 2 offers" in plain(page)
    link = unescape(re.search(r'href="([^"]*)">Without the area code', page.text)[1])
    assert "New York</td>" in visitor.get(link).text


def test_a_city_that_is_half_typed_is_completed(visitor):
    page = visitor.get("/search", query_string={"country": "US", "city": "alb"})

    link = unescape(re.search(r'href="([^"]*)">Albany</a>', page.text)[1])
    assert "Albany</td>" in visitor.get(link).text


def test_the_lists_can_be_brought_without_searching(visitor):
    sent = visitor.send("/search", "/search", country="NL", lists="1").location
    page = visitor.get(sent).text

    assert '<option value="NH"' in page
    assert '<option value="Amsterdam">' in page
    assert "offers found" not in page


def test_help_and_columns_are_explained_beside_the_fields(visitor):
    page = plain(visitor.get("/search?country=US"))

    for said in (
        "tied to a place",
        "callers are not charged",
        "For how long you pay",
        "a minute of a call",
    ):
        assert said in page
    assert "No documents needed for any of them." in page


def test_documents_that_are_needed_are_listed():
    render = environment().get_template("search/documents.html").module.documents

    assert "No documents needed." in render([])
    listed = render([{"name": "Proof of <address>"}, "Passport"])
    assert "<li>Proof of &lt;address&gt;</li><li>Passport</li>" in listed


def checkout_of(shop, visitor, **chosen):
    made = visitor.send("/checkout", "/search?country=US", country="US", **chosen).location
    shop.settle()
    return made


def test_one_sentence_says_what_is_paid_when_and_for_how_long(shop, visitor):
    chosen = choice(shop, quantity="2") | choice(shop, "Albany")

    page = plain(visitor.get(checkout_of(shop, visitor, **chosen)))

    found = re.search(
        r"Today \$5\.52, then \$4\.52 a month, bound until (\d+ \w+ \d{4}): "
        r"a commitment of \$5\.52 in all\.",
        page,
    )
    # The same day that the number's own page will name as the end of its minimum period.
    bought = first_periods(shop.world.runtime.clock.now(), "America/New_York", 1, 1)
    assert found[1] == f"{bought.min_ends.day} {bought.min_ends:%B %Y}"
    assert "Phone numbers are not included in your payment plan." in page
    assert "Each purchased phone number comes with 2 channels." in page
    assert "No documents needed." in page


def test_each_number_is_bound_for_its_own_minimum_period(tmp_path):
    a_year = STOCK.replace("3,false,1.00,2.00,1,", "3,false,1.00,2.00,12,")
    shop = stocked(tmp_path, a_year)
    visitor = signed_in(shop)

    page = visitor.get(checkout_of(shop, visitor, **choice(shop), **choice(shop, "Albany")))

    # 1.26 for a month, and 1.00 + 12 x 2.00.
    assert "Today $4.26, then $3.26 a month" in plain(page)
    assert "a commitment of $26.26 in all." in plain(page)

    shop.world.execute(AdvanceClock(offset_seconds=601))
    shop.settle()
    over = plain(visitor.get(page.request.path))
    assert "The time is over" in over
    assert "Nothing was charged." in over
    shop.stop()


def test_a_service_that_is_down_is_told_and_nothing_is_lost(shop, visitor, monkeypatch):
    call = shop.world.client.call
    fields = choice(shop) | {"country": "US"}
    page = "/search?country=US"
    token = re.search(r'name="csrf_token" value="([^"]*)"', visitor.get(page).text)[1]

    def down(service, method, *rest, **more):
        if method == "hold_numbers":
            raise refusal("service_unavailable")
        return call(service, method, *rest, **more)

    monkeypatch.setattr(shop.world.client, "call", down)
    answer = visitor.client.post("/checkout", data=fields | {"csrf_token": token})

    assert answer.status_code == 503
    assert 'id="problem" class="alert' in answer.text
    assert "Try again in a moment. Nothing is done twice." in answer.text
    assert answer.headers["HX-Push-Url"] == "false"

    monkeypatch.undo()
    again = visitor.client.post("/checkout", data=fields | {"csrf_token": token})
    assert again.location.startswith("/checkout/qt_")

"""The list of numbers as a person sees it, without a browser."""

import csv
import io
import re
import uuid
from html import unescape

import pytest
from sqlalchemy import insert, update

from services.inventory.messages import Place, Terms
from services.orders import number_rows, order_rows
from services.orders.messages import NumberPurchased, OrderPlaced
from services.orders.projections import customer_order, number_account, tenure
from tests.integration.pages.visitors import signed_in
from tests.support.worlds import START

TERMS = {
    "currency": "USD",
    "setup_fee": 0,
    "monthly_fee": 1_260_000,
    "min_period_months": 1,
    "per_minute": 8_500,
    "connect_fee": 0,
    "billing_increments": "60/1",
    "sms": True,
}
HOSTILE = ['=HYPERLINK("http://evil")', "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1", 'a,"b";c']


class Filled:
    """Rows of the visitor's account in every status, as the projection would fold them."""

    def __init__(self, shop, visitor):
        self._views = shop.world.views
        self.account_id = visitor.api.account_id
        self.position = 10_000

    def number(self, n, status="active", **changed):
        place = Place(country="US", region="NY", city="Albany", area_code="518", type="geographic")
        event = NumberPurchased(
            num_id=f"num_{self.account_id}_{n}",
            number=f"+1518556{n:04d}",
            account_id=self.account_id,
            order_id="ord_1",
            offer_id="off_1",
            place=changed.pop("place", place),
            terms=Terms(**TERMS | changed.pop("terms", {})),
            origin="purchased",
        )
        self.position += 1
        row = number_rows.purchased(event, START, self.position) | changed | {"status": status}
        self._insert(tenure, row)
        return row

    def order(self, status):
        self.position += 1
        event = OrderPlaced(
            order_id=f"ord_{uuid.uuid4().hex}",
            account_id=self.account_id,
            kind="purchase",
            hold_id="qt_1",
            items=(),
            strategy="all_or_nothing",
            payment_method_id=None,
            usage=None,
            end_user=None,
            document_ids=(),
        )
        row = order_rows.placed(event, START, self.position) | {"status": status}
        self._insert(customer_order, row)
        return row["order_id"]

    def changed(self):
        """Something about the account's numbers was written."""
        self.position += 1
        statement = update(number_account).values(position=self.position)
        with self._views.write() as connection:
            connection.execute(statement.where(number_account.c.account_id == self.account_id))

    def _insert(self, table, row):
        with self._views.write() as connection:
            connection.execute(insert(table).values(row))


@pytest.fixture
def filled(shop, visitor):
    return Filled(shop, visitor)


def text_of(page):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def counts(page):
    found = re.findall(r'id="tab-(\w+)".*?class="pill">([\d,]+)<', page, re.DOTALL)
    return {tab: int(count.replace(",", "")) for tab, count in found}


def rows(page):
    return re.findall(r'id="row-(?:num|ord)_\w+"', page)


def numbers(page):
    return re.findall(r'data-copy="([^"]+)"', page)


def test_tabs_count_numbers_and_orders_by_what_they_are(shop, visitor, filled):
    for n, status in enumerate(
        ("active", "suspended", "pending_compliance", "porting", "cancelling", "released", "failed")
    ):
        filled.number(n, status)
    for status in ("reserving", "action_required", "needs_operator", "failed", "fulfilled"):
        filled.order(status)
    before = counts(signed_in(shop).get("/numbers").text)  # Of an account with its free number.
    page = visitor.get("/numbers").text

    added = {tab: count - before[tab] for tab, count in counts(page).items()}
    assert added == {"active": 2, "pending": 5, "cancelling": 1, "released": 2}


def test_each_tab_shows_its_rows_and_says_which_it_is(visitor, filled):
    filled.number(1, "suspended")
    filled.number(2, "cancelling")
    filled.number(3, "failed")
    filled.number(4, "porting")

    for tab, number in (("cancelling", 2), ("released", 3), ("pending", 4)):
        page = visitor.get(f"/numbers?tab={tab}").text
        assert numbers(page) == [f"+1518556{number:04d}"]
        assert re.search(rf'id="tab-{tab}" [^>]*aria-current="true"', page)
        assert page.count("aria-current") == 2  # The menu's, too.


def test_an_order_on_its_way_links_to_itself_and_says_what_it_waits_for(visitor, filled):
    order_id = filled.order("action_required")
    page = visitor.get("/numbers?tab=pending").text

    assert f'href="/orders/{order_id}"' in page
    assert "You: confirm the payment with your bank" in page


@pytest.mark.parametrize(
    ("tab", "said"),
    [
        ("cancelling", "No number is being cancelled"),
        ("released", "No number was given back"),
    ],
)
def test_an_empty_tab_says_so(visitor, tab, said):
    assert said in visitor.get(f"/numbers?tab={tab}").text


def test_another_account_s_numbers_are_not_counted_or_shown(shop, visitor, filled):
    other = signed_in(shop, "Other")
    Filled(shop, other).number(77, "cancelling")

    page = visitor.get("/numbers?tab=cancelling").text
    assert counts(page)["cancelling"] == 0
    assert "+15185560077" not in page


def test_a_page_goes_forwards_and_back_in_every_order(visitor, filled):
    for n in range(45):
        filled.number(n, "cancelling")
    visitor.send("/numbers/view", "/numbers", size="20")
    address, seen, pages = "/numbers?tab=cancelling&sort=-number", [], []
    while address:
        page = visitor.get(address).text
        pages.append(page)
        seen += numbers(page)
        address = link(page, "next")

    assert seen == [f"+1518556{n:04d}" for n in reversed(range(45))]
    assert [len(rows(page)) for page in pages] == [20, 20, 5]
    assert "20 of 45 numbers." in pages[0]
    assert link(pages[0], "prev") is None
    back = visitor.get(link(pages[2], "prev")).text
    assert numbers(back) == numbers(pages[1])


def link(page, rel):
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    return unescape(found[1]) if found else None


@pytest.mark.parametrize("path", ["/numbers", "/numbers?tab=pending&q=518&sort=city"])
def test_a_page_asks_the_services_four_questions_at_most(shop, visitor, filled, monkeypatch, path):
    for n in range(60):
        filled.number(n, "porting", labels=["VIP"])
    filled.order("charging")
    client, asked = shop.world.client, []
    call = client.call

    def counted(service, method, *args, **more):
        asked.append(method)
        return call(service, method, *args, **more)

    monkeypatch.setattr(client, "call", counted)
    visitor.get(path)

    assert {"count_numbers", "list_numbers"} <= set(asked)
    assert len(asked) <= 4, asked


def test_a_cursor_of_another_order_leads_to_the_first_page(visitor, filled):
    answer = visitor.get("/numbers?tab=cancelling&sort=city&after=nonsense")

    assert answer.status_code == 303
    assert answer.location == "/numbers?tab=cancelling&sort=city"


def test_a_head_says_how_it_is_sorted_and_leads_to_the_other_way_round(visitor, filled):
    filled.number(1)
    page = visitor.get("/numbers?sort=city&label=&q=518").text

    assert re.search(r'aria-sort="ascending">\s*<a id="sort-city"[^>]*sort=-city', page)
    assert page.count('aria-sort="none"') == 8
    assert "Sorted by City, ascending." in page


def test_pasted_numbers_are_found_each_and_too_many_are_explained(visitor, filled):
    for n in range(4):
        filled.number(n)
    found = visitor.get("/numbers", query_string={"q": "+1 (518) 556-00-01\n5185560003"}).text
    many = "\n".join(f"+1518556{n:04d}" for n in range(201))

    assert sorted(numbers(found)) == ["+15185560001", "+15185560003"]
    assert "Paste at most 200 numbers" in visitor.get("/numbers", query_string={"q": many}).text


def test_columns_and_rows_are_remembered_and_the_address_stays(visitor, filled):
    filled.number(1, "cancelling")
    headers = {"Referer": "http://localhost/numbers?tab=cancelling&sort=city"}
    token = re.search(r'name="csrf_token" value="([^"]*)"', visitor.get("/numbers").text)[1]
    form = {"csrf_token": token, "size": "20", "column": ["status", "city", "nonsense"]}
    answer = visitor.client.post("/numbers/view", data=form, headers=headers)
    page = visitor.get(answer.location).text

    assert answer.location == "/numbers?tab=cancelling&sort=city"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    heads = re.findall(r'id="sort-(\w+)"', page)
    assert heads == ["number", "city", "status"]
    assert "<option selected>20</option>" in page


def test_a_form_that_came_from_elsewhere_leads_to_the_list(visitor):
    token = re.search(r'name="csrf_token" value="([^"]*)"', visitor.get("/numbers").text)[1]
    headers = {"Referer": "http://localhost/orders"}
    answer = visitor.client.post("/numbers/view", data={"csrf_token": token}, headers=headers)

    assert answer.location == "/numbers"


def test_what_is_paid_until_no_day_says_why(visitor, filled):
    filled.number(1, terms={"monthly_fee": 0})
    filled.number(2)
    page = visitor.get("/numbers?q=518556").text

    assert "27 Feb 2026" in page
    assert page.count('<span class="unseen">No monthly fee, so there is no date') == 1


class TestExport:
    def test_a_file_holds_all_rows_of_the_tab_that_the_filters_leave(self, visitor, filled):
        for n in range(120):
            filled.number(n, "cancelling")
        filled.number(200, "released")
        answer = visitor.get("/numbers.csv?tab=cancelling&q=518&sort=number")
        lines = list(csv.DictReader(io.StringIO(answer.text)))

        assert "Content-Length" not in answer.headers  # It is not known before it is written.
        assert answer.content_type == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == (
            'attachment; filename="phone-numbers-cancelling.csv"'
        )
        assert [line["number"] for line in lines] == [f"+1518556{n:04d}" for n in range(120)]
        assert lines[0]["paid_until"] == "2026-02-27"

    @pytest.mark.parametrize("payload", HOSTILE)
    def test_no_label_or_note_becomes_a_formula(self, visitor, filled, payload):
        filled.number(1, "cancelling", labels=[payload], description=payload)
        answer = visitor.get("/numbers.csv?tab=cancelling")
        (line,) = csv.DictReader(io.StringIO(answer.text, newline=""))

        for cell in (line["labels"], line["description"]):
            assert cell.removeprefix("'") == payload
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert line["number"] == "+15185560001"

    def test_what_cannot_be_searched_is_no_file(self, visitor):
        many = "\n".join(f"+1518556{n:04d}" for n in range(201))
        answer = visitor.get("/numbers.csv", query_string={"q": many})

        assert answer.status_code == 422
        assert "invalid_value" in answer.text


ASKED = {"HX-Request": "true", "Pbx-Background": "true"}


class TestChanges:
    def live(self, page):
        return unescape(re.search(r'data-live="([^"]+)"', page)[1])

    def test_a_list_is_told_when_it_has_changed_and_only_then(self, visitor, filled):
        address = self.live(visitor.get("/numbers?tab=cancelling").text)
        before = visitor.get(address, headers=ASKED)
        filled.changed()
        after = visitor.get(address, headers=ASKED)

        assert (before.status_code, before.text) == (204, "")
        assert after.status_code == 200
        assert self.live(visitor.get("/numbers").text) != address

    def test_another_account_s_changes_are_not_told(self, shop, visitor):
        address = self.live(visitor.get("/numbers").text)
        Filled(shop, signed_in(shop, "Other")).changed()

        assert visitor.get(address, headers=ASKED).status_code == 204

    def test_a_session_is_not_kept_alive_by_a_page_that_asks(self, shop, visitor):
        visitor.get("/numbers")
        clock = shop.world.machine
        began = clock.at
        try:
            for _ in range(4):
                clock.forward(minutes=10)
                answer = visitor.get("/numbers/changes?after=", headers=ASKED)
            assert answer.status_code == 401
            assert "HX-Redirect" in answer.headers
        finally:
            clock.at = began

    def test_a_person_who_looks_keeps_the_session(self, shop, visitor):
        clock = shop.world.machine
        began = clock.at
        try:
            for _ in range(4):
                clock.forward(minutes=10)
                assert visitor.get("/numbers").status_code == 200
        finally:
            clock.at = began


class TestOneNumber:
    def test_a_number_shows_what_is_known_in_the_words_of_the_manual(self, visitor, filled):
        row = filled.number(1, max_channels=2, labels=["VIP"], description="Front desk")
        page = visitor.get(f"/numbers/{row['num_id']}").text
        said = text_of(page)

        for expected in (
            "Phone number +1 (518) 556-00-01",
            "Country United States",
            "State New York",
            "Area Code and City 518, Albany",
            "Description Front desk",
            "Start Date 31 January 2026",
            "Monthly Cost $1.26",
            "Minute Cost (Inbound) $0.0085",
            "Each number comes with 2 channels: two calls at once.",
            "1 month, until 27 February 2026",
        ):
            assert expected in said, expected
        assert f'href="/orders/{row["order_id"]}"' in page
        assert 'id="dialog-part"' in page

    def test_a_free_number_says_why_it_has_no_date(self, visitor, filled):
        row = filled.number(1, terms={"monthly_fee": 0}, origin="free")

        said = text_of(visitor.get(f"/numbers/{row['num_id']}").text)
        assert "No monthly fee, so there is no date to pay until" in said
        assert "This is the free number of your account" in said


def test_porting_in_says_that_it_follows_and_what_to_have_ready(visitor):
    said = text_of(visitor.get("/port-in").text)

    for word in ("follows in the next version", "LOA", "latest bill", "PIN", "support@example.com"):
        assert word in said
    assert 'href="/port-in" hx-get="/port-in"' in visitor.get("/numbers").text


def test_the_list_says_whom_to_ask_and_that_numbers_cost_extra(visitor):
    said = text_of(visitor.get("/numbers").text)

    assert "not included in your payment plan" in said
    assert "If you encounter any issues, please contact us at support@example.com" in said

"""The list of numbers in Chromium: found, sorted, copied, opened, and changing by itself."""

import csv
import io
import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.people import invite
from tests.support.product import Product

pytestmark = pytest.mark.browser
ASK_NOW = "document.dispatchEvent(new Event('visibilitychange'))"
LISTEN = """() => {
    window.said = [];
    const place = document.getElementById('announcer');
    const note = () => { if (place.textContent) window.said.push(place.textContent); };
    new MutationObserver(note).observe(place, { childList: true });
}"""


@pytest.fixture
def product(embedded: Product) -> Product:
    """One runtime will do: the pages come from the same code."""
    return embedded


@pytest.fixture
def owner(product):
    """Somebody with three numbers that were bought, and a free one."""
    person = invite(product).add_card()
    offer = person.api.get("/v1/available-numbers?country=US&city=New%20York").body["data"][0]
    items = [{"offer_id": offer["offer_id"], "quantity": 3}]
    order = person.api.post("/v1/orders?wait=20", {"items": items})
    assert order.body["status"] == "fulfilled", order
    return person


def bought(owner):
    return [n for n in owner.api.get("/v1/numbers").body["data"] if n["origin"] == "purchased"]


def labelled(owner, number, *labels):
    changed = owner.api.ask("PATCH", f"/v1/numbers/{number['num_id']}", {"labels": [*labels]})
    assert changed.status == 200, changed


def test_somebody_finds_sorts_copies_and_opens_numbers(owner, visit):
    page = owner.sign_in(visit(permissions=["clipboard-read", "clipboard-write"]))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(page.get_by_role("link", name="Active 4")).to_have_attribute("aria-current", "true")

    page.get_by_role("link", name="Paid Until").click()  # The free number has no date.
    expect(page.get_by_role("columnheader", name="Paid Until")).to_have_attribute(
        "aria-sort", "ascending"
    )
    expect(page).to_have_url(re.compile("sort=paid_until"))
    expect(page.get_by_role("link", name="Paid Until")).to_be_focused()
    expect(rows.first).to_contain_text("Free")
    page.keyboard.press("Enter")
    expect(rows.last).to_contain_text("Free")

    first, second = bought(owner)[:2]
    field = page.get_by_label("Number, label or note")
    field.fill(f"{first['number']}\n{second['number'][2:]}")
    field.press("Enter")
    expect(rows).to_have_count(2)
    expect(page.get_by_text("2 numbers.")).to_be_focused()
    expect(page).to_have_url(re.compile("sort=-paid_until"))
    page.get_by_role("button", name="Copy +1").first.click()
    expect(page.get_by_role("button", name="Copy +1").first).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied in {first["number"], second["number"]}

    pencil = page.get_by_role("link", name="Edit +1").first
    pencil.click()
    expect(page.get_by_role("dialog").get_by_role("heading", level=1)).to_be_focused()
    expect(page).to_have_url(re.compile("/numbers/num_"))
    expect(page.get_by_role("dialog")).to_contain_text("Area Code and City")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("q="))
    expect(pencil).to_be_focused()
    page.get_by_role("link", name="Clear filters").click()
    expect(rows).to_have_count(4)

    page.get_by_role("link", name="Cancelling 0").click()
    expect(page.get_by_role("heading", name="No number is being cancelled")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(4)
    page.get_by_role("link", name="Port-in Number").click()
    expect(page.get_by_role("dialog")).to_contain_text("follows in the next version")


def test_rows_change_by_themselves_and_nothing_else_does(owner, visit):
    number, other = bought(owner)[:2]
    page = owner.sign_in(visit(), "/numbers?q=%2B1")
    row = page.locator(f"#row-{number['num_id']}")
    expect(row).to_be_visible()
    page.evaluate(LISTEN)
    address = page.url
    field = page.get_by_label("Number, label or note")
    field.fill("half a thou")

    labelled(owner, number, "URGENT")
    page.evaluate(ASK_NOW)
    expect(row.get_by_role("link", name="URGENT")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value("half a thou")
    assert page.url == address
    expect(page.get_by_text("Only:")).to_be_visible()  # The filter that was sent still holds.
    page.wait_for_function("window.said.length > 0")
    assert page.evaluate("window.said") == [
        "Your list has changed. Active: 4, Pending: 0, Cancelling: 0, Released: 0."
    ]

    page.locator(f"#copy-{number['num_id']}").focus()
    labelled(owner, other, "Second")
    expect(page.get_by_role("link", name="Second")).to_be_visible()  # Asked by the clock.
    expect(page.locator(f"#copy-{number['num_id']}")).to_be_focused()

    page.get_by_role("link", name="Add Number").click()
    expect(page.get_by_role("dialog").get_by_role("heading", level=1)).to_be_visible()
    labelled(owner, number, "Third")
    page.evaluate(ASK_NOW)
    expect(page.locator(f"#row-{number['num_id']}")).to_contain_text("Third")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert "/search" in page.url


def test_an_open_list_says_when_the_session_has_ended(owner, visit):
    page = owner.sign_in(visit(), "/numbers?sort=city")
    expect(page.locator("tbody tr")).to_have_count(4)
    page.context.clear_cookies()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(ASK_NOW)

    expect(page.locator("#live-ended")).to_contain_text("no longer kept up to date")
    expect(page.locator("#live-ended")).to_be_visible()
    page.evaluate(ASK_NOW)
    assert len([url for url in asked if "/changes" in url]) == 1
    page.locator("#live-ended").get_by_role("link", name="Sign in").click()
    owner.fill_in(page)
    expect(page).to_have_url(re.compile(r"/numbers\?sort=city"))


def test_the_list_works_by_plain_links_and_forms_without_javascript(owner, visit):
    labelled(owner, bought(owner)[0], "=cmd()")
    page = owner.sign_in(visit(java_script_enabled=False))
    page.get_by_text("Columns and rows").click()
    for name in ("Type", "City", "Origin"):
        page.get_by_role("group", name="Columns").get_by_label(name).uncheck()
    page.get_by_label("Rows per page").select_option("20")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("columnheader")).to_have_count(8)
    page.reload()
    expect(page.get_by_role("columnheader", name="City")).to_have_count(0)

    page.get_by_role("link", name="Number", exact=True).click()
    expect(page.get_by_role("columnheader", name="Number")).to_have_attribute(
        "aria-sort", "ascending"
    )
    page.get_by_role("link", name="=cmd()").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert download.value.suggested_filename == "phone-numbers-active.csv"
    text = download.value.path().read_text()
    (line,) = csv.DictReader(io.StringIO(text))
    assert line["labels"] == "'=cmd()"
    page.get_by_role("link", name="Edit +1").click()
    expect(page.get_by_role("heading", name="General")).to_be_visible()


def test_markup_in_a_label_and_in_a_note_is_shown_and_not_run(owner, visit):
    markup = "<img src=x onerror=window.ran=1>"
    number = bought(owner)[0]["num_id"]
    change = {"labels": [markup], "description": f"<script>window.ran=1</script>{markup}"}
    assert owner.api.ask("PATCH", f"/v1/numbers/{number}", change).status == 200

    page = owner.sign_in(visit())
    expect(page.get_by_role("link", name=markup)).to_be_visible()
    for path in (f"/numbers/{number}", "/numbers?q=onerror"):
        page.goto(path)
        expect(page.get_by_role("main").get_by_text(markup).first).to_be_visible()
        assert page.evaluate("window.ran") is None
        assert page.locator("main img").count() == 0

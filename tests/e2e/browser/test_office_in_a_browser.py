"""The back office in Chromium: each test walks one of its paths, failures included."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.contract.payment_servers import wait_until
from tests.e2e.browser.people import STOCK_HEAD, Person, invite
from tests.support.product import Product

pytestmark = pytest.mark.browser


def test_an_account_is_opened_seen_as_and_left_again(
    product: Product, staff: Person, visit: Callable[..., Page]
) -> None:
    page = staff.sign_in(visit(), "/numbers")
    expect(page).to_have_url(re.compile("/office/accounts$"))
    page.get_by_role("link", name="Open an account").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Loud <i>Company</i>")
    dialog.get_by_label("E-mail").fill(product.demo["email"])
    dialog.get_by_label("Country").select_option("NL")
    dialog.get_by_role("button", name="Open the account").click()
    told = dialog.locator("#dialog-part [role=alert]")
    expect(told).to_contain_text("This e-mail has a user already")
    expect(dialog.get_by_label("Name")).to_have_value("Loud <i>Company</i>")

    dialog.get_by_label("E-mail").fill(f"{uuid.uuid4().hex[:12]}@example.com")
    dialog.get_by_role("button", name="Open the account").click()
    expect(dialog.locator("#api-key")).to_have_text(re.compile("^pbx_"))
    # The address is the account's: a reload shows that, and the key no more.
    expect(page).to_have_url(re.compile("/office/accounts/acct_"))
    dialog.get_by_role("link", name="To the account").click()
    expect(dialog).not_to_be_visible()
    expect(page.get_by_role("heading", name="Loud <i>Company</i>")).to_be_visible()

    page.get_by_role("button", name="See as this account").click()
    banner = page.get_by_role("region", name="Looking at an account")
    expect(banner).to_contain_text(f"You are looking at Loud <i>Company</i> as {staff.email}.")
    expect(page.get_by_role("link", name="Back office")).to_have_count(0)
    page.get_by_role("link", name="Billing").click()
    expect(banner).to_be_visible()
    page.goto("/search?country=US&city=New+York")
    expect(page.get_by_label("Quantity of").first).to_be_disabled()
    expect(banner).to_be_visible()

    banner.get_by_role("button", name="Stop").click()
    expect(page).to_have_url(re.compile("/office/accounts/acct_"))
    expect(banner).to_have_count(0)
    looked = page.get_by_role("table", name="Who of the staff looked")
    expect(looked.get_by_role("row")).to_have_count(2)
    expect(looked).to_contain_text(staff.email)


def test_a_file_with_a_bad_row_is_imported_with_progress(
    staff: Person, visit: Callable[..., Page]
) -> None:
    page = staff.sign_in(visit(), "/office/stock/import")
    page.get_by_label("Or paste the rows").fill("country,city\nUS,New York")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The columns are not those of a stock file")
    expect(page.locator("#import-detail")).to_contain_text("missing: region")

    rows = [
        f"US,IL,Chicago,312,geographic,+1312555{n:04d},1,true,0,1,1,0,0,USD,60/1"
        for n in range(3000, 4500)
    ]
    rows[7] = rows[7].replace(",312,", ",716,")
    file = "\n".join([STOCK_HEAD, *rows]).encode()
    page.goto("/office/stock/import")
    page.get_by_label("CSV file").set_input_files(
        {"name": "stock.csv", "mimeType": "text/csv", "buffer": file}
    )
    page.evaluate("window.kept = true")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page).to_have_url(re.compile("/office/stock/imports/job_"))
    other = page.context.new_page()
    other.goto(page.url)
    job = page.locator("#job")
    expect(job).to_have_attribute("data-status", "done")
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 1500)
    assert page.evaluate("window.kept"), "the page was loaded anew"
    expect(page.locator("#announcer")).to_have_text(
        "Import done: 1499 rows taken, 1 with an error."
    )
    wrong = page.get_by_role("table", name="Rows with an error")
    expect(wrong.get_by_role("row")).to_have_count(2)
    expect(wrong.get_by_role("row").nth(1)).to_contain_text("9")
    expect(wrong).to_contain_text("area_code_mismatch")
    expect(wrong).to_contain_text("Correct area_code.")
    expect(other.locator("#job")).to_have_attribute("data-status", "done")
    page.reload()
    expect(wrong.get_by_role("row")).to_have_count(2)


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_picture_of_the_stock_shows_what_its_table_says(
    staff: Person, visit: Callable[..., Page], width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = staff.sign_in(visit(**options), "/office/stock")

    rows = page.locator("#stock-table tbody tr")
    expect(rows.first).to_be_visible()
    shown = rows.count()
    assert shown >= 15
    picture = page.get_by_role("img", name="Numbers by country and type")
    expect(picture).to_be_visible()
    assert picture.locator("text.label").count() == shown
    widths = picture.locator("rect.part-available").evaluate_all(
        "parts => parts.map((part) => part.getBoundingClientRect().width)"
    )
    assert len(widths) == shown
    assert all(part > 0 for part in widths)
    fills = picture.locator("rect.part").evaluate_all(
        "parts => parts.map((part) => getComputedStyle(part).fill)"
    )
    assert "rgb(0, 0, 0)" not in fills
    names = picture.locator("text.label").evaluate_all(
        "texts => texts.map((text) => text.getBoundingClientRect().right)"
    )
    values = picture.locator("text.value").evaluate_all(
        "texts => texts.map((text) => text.getBoundingClientRect().left)"
    )
    assert all(name < value for name, value in zip(names, values, strict=True))
    assert page.locator("figure.line polyline").count() >= 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_clock_is_put_forward_and_says_what_became_due(
    product: Product, staff: Person, visit: Callable[..., Page]
) -> None:
    customer = invite(product)
    offer = customer.api.get("/v1/available-numbers?country=US&limit=1").body["data"][0]
    quote = customer.api.post("/v1/quotes", {"items": [{"offer_id": offer["offer_id"]}]}).body
    office = product.staff()
    wait_until(lambda: quote["id"] in str(office.get("/v1/test-clock").body["next"]))
    page = staff.sign_in(visit(), "/office/clock")
    expect(page.get_by_role("region", name="Due next")).to_contain_text(quote["id"])

    page.get_by_role("button", name="+ 1 hour").click()
    expect(page.get_by_role("heading", name="It went forward to")).to_be_visible()
    # Holds that other tests have left may end, too.
    expect(page.locator("#clock")).to_contain_text(re.compile(r"\d+ things? became due"))
    expect(page.locator("#clock")).to_contain_text(quote["id"])
    assert customer.api.get(f"/v1/quotes/{quote['id']}").body["status"] == "expired"

    page.get_by_label("To a date").evaluate(
        "field => { field.min = ''; field.value = '2001-01-01' }"
    )
    page.get_by_role("button", name="Put forward").click()
    expect(page.get_by_role("alert")).to_contain_text("The clock goes forward only")


def test_without_javascript_the_back_office_works_by_plain_forms(
    staff: Person, visit: Callable[..., Page]
) -> None:
    page = staff.sign_in(visit(java_script_enabled=False), "/office/accounts")
    page.get_by_role("link", name="Open an account").click()
    page.get_by_label("Name").fill("Plain Company")
    page.get_by_label("E-mail").fill(f"{uuid.uuid4().hex[:12]}@example.com")
    page.get_by_label("Country").select_option("US")
    page.get_by_role("button", name="Open the account").click()
    expect(page.locator("#api-key")).to_have_text(re.compile("^pbx_"))
    page.get_by_role("link", name="To the account").click()
    page.get_by_role("button", name="See as this account").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="Who of the staff looked")).to_be_visible()
    page.goto("/office/outbox")
    expect(page.get_by_role("article").first).to_be_visible()
    page.goto("/office/clock")
    page.get_by_role("button", name="+ 1 day").click()
    expect(page.get_by_role("heading", name=re.compile("forward to"))).to_be_visible()

"""Every page and dialog, with rows in it: no barriers, nothing to scroll sideways, light and dark,
narrow and wide. What stands in whose way, and how it is found, is in looking.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.contract.payment_servers import wait_until
from tests.e2e.browser.looking import look, look_inside
from tests.e2e.browser.people import STOCK_HEAD, Person, add_number, mail_to
from tests.support.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOST_CARD = "pm_card_mastercard"
WRONG_ROW = "US,IL,Chicago,716,geographic,+13125553000,1,true,0,1,1,0,0,USD,60/1"
CARD_FRAME = "#card-fields iframe"


@pytest.fixture
def product(embedded: Product) -> Product:
    """One runtime will do: the pages come from the same code."""
    return embedded


@pytest.fixture
def waiting(product: Product) -> Iterator[str]:
    """An order whose payment nobody answers for, a day later. Its id."""
    path = {"method": "POST", "path": "/v1/payment_intents", "payment_method": LOST_CARD}
    provider, buyer = product.payments(), product.open_account(LOST_CARD)
    provider.ask("PUT", "/_faults", [{"fault": "500_before", "match": path}])
    offer = buyer.get("/v1/available-numbers?country=US&limit=1").body["data"][0]
    order = buyer.post("/v1/orders", {"items": [{"offer_id": offer["offer_id"]}]}).body["id"]
    wait_until(lambda: buyer.get(f"/v1/orders/{order}").body["status"] == "charging")
    staff = product.staff()
    later = datetime.fromisoformat(staff.get("/v1/test-clock").body["now"]) + timedelta(days=1)
    assert staff.post("/v1/test-clock/advance", {"to": later.isoformat()}).status == 200
    wait_until(lambda: buyer.get(f"/v1/orders/{order}").body["status"] == "needs_operator")
    yield order
    provider.ask("PUT", "/_faults", [])


def test_nothing_stands_in_the_way_of_a_customer(
    product: Product, debtor: Person, visit: Callable[..., Page]
) -> None:
    page = visit()
    page.goto(mail_to(product, None)["link"])
    look(page, "token-used", "dl")
    page.goto("/password-resets")
    look(page, "forgotten", "form.card")
    page.goto("/password-resets?asked=1")
    look(page, "forgotten-asked", "main .note")
    page.goto("/login?ended=1")
    look(page, "login", "form.card")

    debtor.sign_in(page)
    page.locator(".help summary").first.click()
    look(page, "numbers-help", "tbody tr")
    page.get_by_role("link", name="Edit +").first.click()
    look(page, "number-dialog", "dialog[open] dl")
    page.get_by_role("button", name="Close").click()
    page.get_by_text("Columns and rows").click()
    look(page, "numbers-columns", ".view[open] [type=checkbox]")
    page.get_by_role("link", name="Port-in Number").click()
    look(page, "port-in", "dialog[open] li")
    page.goto("/numbers?q=1&sort=city&type=mobile")
    look(page, "numbers-filtered", ".empty")
    page.goto("/numbers?tab=released")
    look(page, "numbers-released", ".empty")

    page.get_by_role("link", name="Billing").click()
    look(page, "billing", "#charges tbody tr")
    page.get_by_role("link", name="Pay now").click()
    look(page, "pay", "dialog[open] form")
    page.get_by_role("button", name="Pay $0.60").click()
    look(page, "payment", "[data-status=succeeded]")
    page.get_by_role("link", name="Back to Billing").click()
    page.get_by_role("link", name="Remove Visa").click()
    look(page, "card-remove", "dialog[open] form")
    page.goto(f"/orders/{debtor.orders()[0]['id']}")
    look(page, "order", "[data-status=fulfilled] tbody tr")
    page.goto("/numbers/num_none")
    look(page, "error", "dl")


def test_nothing_stands_in_the_way_of_somebody_who_buys(
    product: Product, person: Person, visit: Callable[..., Page]
) -> None:
    page = visit()
    product.open_account(card=None)
    page.goto(mail_to(product, None)["link"])
    look(page, "invitation", "form.card")
    person.sign_in(page)
    page.get_by_role("link", name="Add Number").first.click()
    look(page, "search", "dialog[open] #search select")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("State", exact=True).select_option("Texas")
    dialog.get_by_label("City").fill("New York")
    dialog.get_by_role("button", name="Search").click()
    look(page, "search-nothing", ".empty a")
    page.goto("/numbers")
    dialog = add_number(page)
    dialog.get_by_label("Quantity of").first.select_option("2")
    dialog.get_by_role("button", name="Pick numbers").first.click()
    look(page, "search-opened", ".opened [type=checkbox]")
    dialog.get_by_role("button", name="Checkout").click()
    look(page, "checkout-no-card", "dialog[open] .lines, dialog[open] tbody tr")
    dialog.get_by_role("link", name="Add a card").click()
    look(page, "card-new", CARD_FRAME)
    look_inside(page, CARD_FRAME)
    dialog.get_by_label("Test card").select_option("pm_card_authenticationRequired")
    dialog.get_by_role("button", name="Add test card").click()
    dialog.get_by_role("link", name="Buy Now").click()
    look(page, "confirm", "form[action$='/buy']")
    dialog.get_by_role("button", name="Buy for").click()
    look(page, "order-bank-step", "[data-status=action_required] tbody tr")
    page.get_by_role("link", name="Call Routing").or_(page.get_by_text("Call Routing")).click()
    page.get_by_role("link", name="Phone Numbers").click()
    page.locator("#tab-pending").click()
    look(page, "numbers-pending", "tbody tr")
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Confirm with your bank").click()
    expect(page.frame_locator("dialog iframe").get_by_role("button", name="Fail")).to_be_visible()
    look_inside(page, "dialog iframe")
    page.keyboard.press("Escape")
    look(page, "order-failed", "[data-status=failed] tbody tr")


def test_nothing_stands_in_the_way_of_staff(
    waiting: str, staff: Person, visit: Callable[..., Page]
) -> None:
    page = staff.sign_in(visit(), "/office/accounts")
    look(page, "office-accounts", "tbody tr")
    page.get_by_role("link", name="Open an account").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("A name with <b>markup</b> " + "and no end " * 10)
    dialog.get_by_label("E-mail").fill(staff.email)
    dialog.get_by_label("Country").select_option("NL")
    dialog.get_by_role("button", name="Open the account").click()
    look(page, "office-account-refused", "dialog[open] [role=alert] code")
    dialog.get_by_label("E-mail").fill(f"{uuid.uuid4().hex[:12]}@example.com")
    dialog.get_by_role("button", name="Open the account").click()
    look(page, "office-account-opened", "#api-key")
    dialog.get_by_role("link", name="To the account").click()
    look(page, "office-account", "main dl")
    page.get_by_role("button", name="See as this account").click()
    look(page, "office-see-as", ".looking")
    page.get_by_role("link", name="Your sign-in").click()
    look(page, "office-see-as-you", "#factor")
    page.get_by_role("button", name="Stop").click()

    page.get_by_role("link", name="Stock", exact=True).click()
    look(page, "office-stock", "#stock-table tbody tr")
    page.get_by_role("link", name="Import", exact=True).click()
    page.get_by_label("Or paste the rows").fill("country,city\nUS,New York")
    page.get_by_role("button", name="Import", exact=True).click()
    look(page, "office-import", "#import-detail")
    page.get_by_label("Or paste the rows").fill(f"{STOCK_HEAD}\n{WRONG_ROW}")
    page.get_by_role("button", name="Import", exact=True).click()
    look(page, "office-import-job", "#job[data-status=done] tbody tr")
    page.get_by_role("link", name="Orders", exact=True).click()
    look(page, "office-orders", "tbody tr")
    page.get_by_role("link", name=waiting).click()
    look(page, "office-order", "dialog[open] form")
    page.goto("/office/outbox")
    look(page, "office-outbox", "article")
    page.goto("/office/clock")
    page.get_by_role("button", name="+ 1 hour").click()
    expect(page.get_by_role("heading", name="It went forward to")).to_be_visible()
    look(page, "office-clock", "#clock h2")

"""People with a password, and what they do on the pages again and again."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from deploy.payment_sandbox.book import Book, BookedCharge
from tests.support.product import ApiClient, Product

PASSWORD = "a sentence that nobody guesses"
STOCK_HEAD = (
    "country,region,city,area_code,type,first_number,count,sms,setup_fee,monthly_fee,"
    "min_period_months,per_minute,connect_fee,currency,billing_increments"
)


@dataclass
class Person:
    """Somebody who can sign in. ``api`` is the same account seen by a program."""

    product: Product
    email: str
    password: str
    api: ApiClient

    def sign_in(self, page: Page, path: str = "/numbers") -> Page:
        """Goes to a page by way of the form."""
        page.goto(path)
        self.fill_in(page)
        expect(page).not_to_have_url(re.compile("/login"))
        return page

    def fill_in(self, page: Page) -> None:
        """Fills the form in and sends it."""
        page.get_by_label("E-mail").fill(self.email)
        page.get_by_label("Password").fill(self.password)
        page.get_by_role("button", name="Sign in").click()

    def add_card(self, token: str = "pm_card_visa") -> Person:
        """Gives the account a card."""
        assert self.api.post("/v1/payment-methods", {"payment_method": token}).status == 201
        return self

    def orders(self) -> list[dict]:
        """The account's purchases."""
        found = self.api.get("/v1/orders").body["data"]
        return [one for one in found if one["quote_id"]]

    def charges(self) -> list[BookedCharge]:
        """What the payment sandbox took for them."""
        ids = {one["id"] for one in self.orders()}
        book = Book(self.product.data / "payment_sandbox").charges()
        return [c for c in book if c.metadata.get("order_id") in ids and c.status == "succeeded"]


def of_demo(product: Product) -> Person:
    """The person that ``demo.json`` names."""
    return Person(product, product.demo["email"], product.demo["password"], product.customer())


def invite(product: Product, role: str = "owner") -> Person:
    """Somebody new, who has accepted the invitation."""
    account = product.open_account(card=None)
    if role == "owner":
        email = mail_to(product, None)["to"]
    else:
        email = f"{uuid.uuid4().hex[:12]}@example.com"
        invited = account.ask("POST", "/v1/users", {"email": email, "role": role})
        assert invited.status == 201, invited
    token = mail_to(product, email)["token"]
    chosen = account.ask("POST", f"/v1/invitations/{token}", {"password": PASSWORD})
    assert chosen.status == 201, chosen
    return Person(product, email, PASSWORD, account)


def mail_to(product: Product, email: str | None) -> dict[str, str]:
    """The newest mail, or the newest to somebody."""
    mails = product.staff().get("/v1/outbox").body["data"]
    return next(mail for mail in mails if email in {None, mail["to"]})


def choose_numbers(page: Page, quantity: int = 2, city: str = "New York") -> None:
    """Searches, and chooses a quantity of the first offer."""
    page.goto("/search")
    page.get_by_label("Country", exact=True).select_option("US")
    page.get_by_label("City").fill(city)
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Quantity of").first.select_option(str(quantity))


def add_number(page: Page, city: str = "New York") -> Locator:
    """From the list of numbers into the dialog, with the offers of a city; answers the dialog."""
    page.get_by_role("link", name="Add Number").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Country", exact=True).select_option("US")
    dialog.get_by_label("City").fill(city)
    dialog.get_by_role("button", name="Search").click()
    expect(dialog.get_by_label("Quantity of").first).to_be_visible()
    return dialog


def check_out(page: Page, quantity: int = 2) -> None:
    """Up to the checkout."""
    choose_numbers(page, quantity)
    page.get_by_role("button", name="Checkout").click()
    expect(page.get_by_role("heading", name="Checkout")).to_be_visible()


def confirm(page: Page) -> None:
    """From the checkout to the order."""
    page.get_by_role("link", name="Buy Now").click()
    page.get_by_role("button", name="Buy for").click()
    expect(page.get_by_role("heading", name="Order", exact=True)).to_be_visible()


def type_card(page: Page, number: str) -> None:
    """Types a card into the payment provider's fields."""
    fields = page.frame_locator("#card-fields iframe")
    fields.get_by_label("Card number").fill(number)
    fields.get_by_label("Expiry").fill("12 / 34")
    fields.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Save card").click()

"""The Billing page as a customer uses it: cards, what is owed, orders and charges."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.looking import SMALL_TARGETS, barriers
from tests.e2e.browser.people import PASSWORD, Person, mail_to, type_card

pytestmark = pytest.mark.browser


def of_balance(person):
    """Cents that were taken for what was owed, as the API tells it."""
    charges = person.api.get("/v1/charges").body["data"]
    return [c["amount"]["amount"] for c in charges
            if c["kind"] == "balance" and c["status"] == "succeeded"]  # fmt: skip


def obstacles(page):
    """What stands in somebody's way: barriers that axe finds, targets that are too small."""
    return barriers(page) + page.evaluate(SMALL_TARGETS)


def test_cards_are_added_in_the_dialog_made_default_and_removed(person, visit):
    page = person.sign_in(visit(), "/billing")
    expect(page.get_by_text("No card yet.")).to_be_visible()
    page.get_by_role("link", name="Add a card").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page).to_have_url(re.compile("/cards/new$"))
    type_card(page, "4000 0000 0000 0002")
    expect(page.locator("[data-problem]")).to_contain_text(re.compile("declined"))
    type_card(page, "4242 4242 4242 4242")

    expect(page.locator("#announcer")).to_have_text("Visa ending in 4242 was added.")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("link", name="Add a card").click()
    page.get_by_label("Test card").select_option("pm_card_mastercard")
    page.get_by_role("button", name="Add test card").click()
    cards = page.locator("#cards li")
    default = cards.filter(has=page.locator(".badge"))
    expect(cards).to_have_count(2)
    expect(default).to_contain_text("Visa ending in 4242")

    page.get_by_role("button", name="Make default: Mastercard ending in 4444").click()
    expect(default).to_contain_text("Mastercard ending in 4444")
    page.get_by_role("link", name="Remove Mastercard").click()
    expect(page.get_by_role("dialog")).to_contain_text("Visa ending in 4242 becomes the default.")
    page.get_by_role("link", name="Keep it").click()
    expect(page).to_have_url(re.compile("/billing"))
    page.get_by_role("link", name="Remove Mastercard").click()
    page.get_by_role("button", name="Remove card").click()
    expect(page.locator("#announcer")).to_have_text("The card was removed.")
    expect(cards).to_have_count(1)
    expect(default).to_contain_text("Visa ending in 4242")


def test_what_is_owed_is_paid_with_the_keyboard(debtor, visit):
    page = debtor.sign_in(visit(), "/billing")
    expect(page.locator("#owed")).to_contain_text("$0.60")
    expect(page.locator("#charges .charge-owed")).to_have_count(2)
    page.get_by_role("link", name="Pay now: $0.60").press("Enter")
    expect(page.get_by_role("heading", name="Pay what you owe")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Pay now: $0.60")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pay what you owe")).to_be_focused()
    page.get_by_role("button", name="Pay $0.60").press("Enter")

    expect(page.locator("[data-status=succeeded]")).to_be_visible()
    expect(page.get_by_role("link", name="Receipt of the payment provider")).to_be_visible()
    page.reload()
    expect(page.get_by_text("$0.60 was charged to your card.")).to_be_visible()
    page.get_by_role("link", name="Back to Billing").click()
    expect(page.locator("#owed")).to_contain_text("Everything you bought is paid.")
    expect(page.locator("#charges .charge-settled")).to_have_count(2)
    assert of_balance(debtor) == ["0.60"]


def test_a_declined_card_leaves_it_owed_and_another_pays_with_the_bank_s_step(debtor, visit):
    debtor.add_card("pm_card_chargeCustomerFail").add_card("pm_card_authenticationRequired")
    narrow = {"viewport": {"width": 360, "height": 800}, "color_scheme": "dark"}
    page = debtor.sign_in(visit(**narrow), "/billing")
    expect(page.locator("#charges .charge-owed")).to_have_count(2)
    assert obstacles(page) == []
    page.get_by_role("link", name="Pay now: $0.60").click()
    page.get_by_role("radio", name="Visa ending in 0341").check()
    assert obstacles(page) == []
    page.get_by_role("button", name="Pay $0.60").click()
    expect(page.locator("[data-status=failed]")).to_be_visible()
    assert obstacles(page) == []
    expect(page.get_by_text("The amount stays owed")).to_be_visible()
    expect(page.get_by_text("Pay with another card, or ask your bank")).to_be_visible()

    page.get_by_role("link", name="Pay again").click()
    page.get_by_role("radio", name="Visa ending in 3184").check()
    page.get_by_role("button", name="Pay $0.60").click()
    page.get_by_role("button", name="Confirm with your bank").click()
    page.frame_locator("dialog iframe").get_by_role("button", name="Complete").click()

    expect(page.locator("[data-status=succeeded]")).to_be_visible()
    assert of_balance(debtor) == ["0.60"]


def test_without_javascript_it_is_paid_and_a_card_removed(debtor, visit):
    page = debtor.sign_in(visit(java_script_enabled=False), "/billing")
    page.get_by_role("link", name="Pay now: $0.60").click()
    page.get_by_role("button", name="Pay $0.60").click()
    expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    page.get_by_role("link", name="Back to Billing").click()

    page.get_by_role("link", name="Remove Visa").click()
    page.get_by_role("button", name="Remove card").click()
    expect(page.get_by_text("The card was removed.")).to_be_visible()
    expect(page.get_by_text("No card yet.")).to_be_visible()
    assert of_balance(debtor) == ["0.60"]


def test_a_viewer_looks_and_changes_nothing(debtor, product, visit):
    email = f"viewer-{debtor.email}"
    assert debtor.api.post("/v1/users", {"email": email, "role": "viewer"}).status == 201
    token = mail_to(product, email)["token"]
    debtor.api.post(f"/v1/invitations/{token}", {"password": PASSWORD})
    viewer = Person(product, email, PASSWORD, debtor.api)
    page = viewer.sign_in(visit(), "/billing")

    expect(page.locator("#owed")).to_contain_text("$0.60")
    expect(page.locator("#cards li")).to_have_count(1)
    expect(page.locator("#orders tbody tr")).to_have_count(3)  # With the free number's.
    expect(page.get_by_text("Cards and payments are for owners.")).to_be_visible()
    expect(page.locator("main form")).to_have_count(0)
    for name in ("Pay now: $0.60", "Add a card", "Remove Visa ending in 4242"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)
    page.goto("/billing/payment?currency=USD")
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()

"""When buying goes wrong: what a person reads, and that nothing is lost, in Chromium."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.people import add_number, check_out, confirm, type_card

pytestmark = pytest.mark.browser


def choose(page, quantity=1):
    """In the dialog over the list of numbers, a quantity of the first offer."""
    page.evaluate("window.marker = 'still the same page'")
    dialog = add_number(page)
    expect(dialog.locator("#cities option")).to_have_count(1)  # Nothing is under way any more.
    dialog.get_by_label("Quantity of").first.select_option(str(quantity))
    expect(dialog.get_by_text(f"{quantity} number")).to_be_visible()
    return dialog


def same_page(page):
    return page.evaluate("window.marker") == "still the same page"


def test_a_hold_that_expires_is_told_in_the_dialog(product, person, visit):
    page = visit()
    page.clock.install()
    person.sign_in(page)
    dialog = choose(page)
    dialog.get_by_role("button", name="Checkout").click()
    expect(dialog.get_by_text("Kept for you for another 9:5")).to_be_visible()
    # Both clocks: the installation's, by which the hold ends, and the one that the dialog shows.
    now = datetime.fromisoformat(product.staff().get("/v1/test-clock").body["now"])
    later = {"to": (now + timedelta(minutes=11)).isoformat()}
    assert product.staff().post("/v1/test-clock/advance", later).status == 200

    page.clock.fast_forward("10:05")
    expect(
        dialog.get_by_text("These numbers went back on sale. Nothing was charged.")
    ).to_be_visible()
    dialog.get_by_role("link", name="Search again").click()
    expect(dialog.get_by_label("Quantity of").first).to_have_value("1")
    assert same_page(page)


def test_a_number_that_is_gone_is_named_and_the_rest_stays_chosen(product, person, visit):
    page = person.sign_in(visit())
    dialog = choose(page)
    dialog.get_by_role("button", name="Pick numbers").first.click()
    box = dialog.get_by_role("group", name="Single numbers").get_by_role("checkbox").nth(5)
    box.check()
    number = box.get_attribute("value")
    other = product.open_account().post("/v1/quotes", {"items": [{"number": number}]})
    assert other.status == 201, other

    dialog.get_by_role("button", name="Checkout").click()
    expect(
        dialog.get_by_role("alert").filter(has_text="Somebody else was faster").first
    ).to_be_visible()
    expect(dialog.get_by_text("No longer available:")).to_be_visible()
    expect(dialog.get_by_text("1 number chosen")).to_be_visible()
    dialog.get_by_role("button", name="Checkout").click()
    expect(dialog.get_by_role("rowheader")).to_have_count(1)
    assert same_page(page)


def test_two_tabs_and_back_end_in_one_order(person, visit):
    page = person.add_card().sign_in(visit())
    check_out(page)
    page.get_by_role("link", name="Buy Now").click()
    expect(page.get_by_role("heading", name="Confirm Purchase")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_role("button", name="Buy for").click()
    expect(page.locator("[data-status=fulfilled]")).to_be_visible()

    other.get_by_role("button", name="Buy for").click()
    expect(other.locator("[data-status=fulfilled]")).to_be_visible()
    assert other.url == page.url
    page.go_back()
    expect(page.get_by_role("heading", name="Ordered already")).to_be_visible()
    assert len(person.orders()) == 1
    assert [c.amount_minor for c in person.charges()] == [600]


def test_a_session_that_ends_in_the_dialog_loses_nothing(person, visit):
    page = person.sign_in(visit())
    dialog = choose(page, 2)
    page.context.clear_cookies()
    dialog.get_by_role("button", name="Checkout").click()
    expect(page.get_by_role("main").get_by_text("Your session has ended.")).to_be_visible()
    person.fill_in(page)

    expect(page.get_by_role("heading", name="Add Number")).to_be_visible()
    expect(page.get_by_label("Quantity of").first).to_have_value("2")
    page.get_by_role("button", name="Checkout").click()
    expect(page.get_by_role("rowheader")).to_have_count(2)


def test_a_session_that_ends_while_a_card_is_typed_goes_on_there(person, visit):
    page = person.sign_in(visit(), "/billing")
    page.get_by_role("link", name="Add a card").click()
    expect(page.locator("#card-fields iframe")).to_be_visible()
    page.context.clear_cookies()
    type_card(page, "4242 4242 4242 4242")
    expect(page.get_by_role("main").get_by_text("Your session has ended.")).to_be_visible()
    person.fill_in(page)

    expect(page).to_have_url(re.compile("/cards/new$"))
    type_card(page, "4242 4242 4242 4242")
    expect(page.get_by_text("Visa ending in 4242 was added.").first).to_be_visible()


def test_a_declined_card_is_replaced_and_the_same_numbers_are_bought(person, visit):
    page = person.add_card("pm_card_chargeCustomerFail").sign_in(visit())
    check_out(page)
    confirm(page)
    expect(page.locator("[data-status=failed]")).to_be_visible()
    expect(page.get_by_text("No money stays charged.")).to_be_visible()
    expect(page.get_by_text("Add another card or ask your bank")).to_be_visible()
    expect(page.get_by_text("card_declined")).to_be_visible()
    numbers = page.get_by_role("rowheader").all_inner_texts()
    assert person.charges() == []

    page.get_by_role("link", name="Add another card").click()
    page.get_by_label("Test card").select_option("pm_card_mastercard")
    page.get_by_role("button", name="Add test card").click()
    page.get_by_role("button", name="Try again with these numbers").click()
    expect(page.get_by_role("rowheader")).to_have_text(numbers)
    page.get_by_role("link", name="Buy Now").click()
    page.get_by_label("Mastercard").check()
    page.get_by_role("button", name="Buy for").click()
    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    assert [c.amount_minor for c in person.charges()] == [600]


def test_an_aborted_bank_s_step_ends_the_order_and_charges_nothing(person, visit):
    page = person.add_card("pm_card_authenticationRequired").sign_in(visit())
    check_out(page)
    confirm(page)
    page.get_by_role("button", name="Confirm with your bank").click()
    expect(page.frame_locator("dialog iframe").get_by_role("button", name="Fail")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.locator("[data-status=failed]")).to_be_visible()
    expect(page.get_by_role("button", name="Try again with these numbers")).to_be_visible()
    assert person.charges() == []


@pytest.fixture
def provider_down(product):
    """The payment provider answers nothing but errors, until it is told to work again."""
    payments = product.payments()

    def rules(*found):
        assert payments.ask("PUT", "/_faults", {"rules": list(found)}).status == 200

    rules({"fault": "500_before", "match": {"method": "POST"}})
    yield rules
    rules()


def test_a_provider_that_does_not_answer_is_told_in_the_dialog(person, visit, provider_down):
    page = person.sign_in(visit())
    dialog = choose(page)
    dialog.get_by_role("button", name="Checkout").click()
    dialog.get_by_role("link", name="Add a card").click()
    dialog.get_by_role("button", name="Add test card").click()
    told = dialog.get_by_role("alert").filter(
        has_text="Nothing was charged. Try again in a moment."
    )
    expect(told).to_be_visible()
    expect(told).to_contain_text("payment_provider_unavailable")

    provider_down()
    dialog.get_by_role("button", name="Add test card").click()
    expect(dialog.get_by_role("heading", name="Checkout")).to_be_visible()
    expect(dialog.get_by_role("link", name="Buy Now")).to_be_visible()
    assert same_page(page)


def test_a_slow_network_shows_that_it_works_sends_once_and_back_goes_back(person, visit):
    page = person.sign_in(visit())
    dialog = choose(page)
    under_way = []

    def hold(route):
        under_way.append(route)

    page.route("**/checkout", hold)
    checkout = dialog.get_by_role("button", name="Checkout")
    checkout.click()
    expect(checkout).to_have_attribute("aria-busy", "true")
    checkout.dispatch_event("click")
    assert len(under_way) == 1
    under_way[0].abort()
    expect(dialog.get_by_text("The server does not answer.")).to_be_visible()
    expect(checkout).not_to_have_attribute("aria-busy", "true")

    page.unroute("**/checkout")
    checkout.click()
    expect(dialog.get_by_role("rowheader")).to_have_count(1)
    expect(dialog.get_by_text("The server does not answer.")).to_be_hidden()
    expect(page).to_have_url(re.compile("/checkout/"))

    page.go_back()
    expect(page.get_by_role("main").get_by_role("heading", name="Add Number")).to_be_visible()
    expect(page.get_by_label("Quantity of").first).to_have_value("1")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert same_page(page)

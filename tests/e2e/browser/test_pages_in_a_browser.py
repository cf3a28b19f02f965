"""What holds for all pages: history, sessions, roles."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.people import PASSWORD, check_out, invite, mail_to
from tests.support.product import Product

pytestmark = pytest.mark.browser


@pytest.fixture
def product(embedded: Product) -> Product:
    """One runtime will do: the pages come from the same code."""
    return embedded


def test_filters_stand_in_the_address_and_back_goes_back(person, visit):
    page = person.sign_in(visit(), "/search?country=US&city=New+York")
    rows = page.get_by_label("Quantity of")
    before = rows.count()
    page.get_by_label("City").fill("")
    page.get_by_label("State", exact=True).select_option("New York")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile("region=NY"))
    expect(page.locator("#results [data-focus]")).to_be_focused()

    page.go_back()
    expect(page).to_have_url(re.compile(r"city=New\+York"))
    expect(rows).to_have_count(before)
    expect(page.get_by_label("City")).to_have_value("New York")


def test_the_lists_follow_the_country(person, visit):
    page = person.sign_in(visit(), "/search")
    page.get_by_label("Country", exact=True).focus()
    page.get_by_label("Country", exact=True).select_option("AU")
    expect(
        page.get_by_label("State", exact=True).get_by_role("option", name="New South Wales")
    ).to_be_attached()
    expect(
        page.get_by_label("State", exact=True).get_by_role("option", name="Texas")
    ).not_to_be_attached()
    expect(page.get_by_label("Country", exact=True)).to_be_focused()


def test_more_offers_keep_what_is_chosen_and_the_focus(person, visit):
    page = person.sign_in(visit(), "/search?country=US")
    rows = page.get_by_label("Quantity of")
    expect(rows).to_have_count(20)
    rows.nth(3).select_option("2")
    page.get_by_role("button", name="Show more offers").click()

    expect(rows).to_have_count(60)
    expect(rows.nth(3)).to_have_value("2")
    expect(page.get_by_role("button", name="Show more offers")).to_be_focused()
    expect(page.get_by_text("2 numbers chosen")).to_be_visible()


def test_a_session_that_ends_in_the_middle_goes_on_where_it_was(person, visit):
    page = person.sign_in(visit())
    check_out(page)
    checkout = page.url
    other = page.context.new_page()
    other.goto("/numbers")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()

    page.get_by_role("button", name="Keep them longer").click()
    expect(page.get_by_role("main").get_by_text("Your session has ended.")).to_be_visible()
    person.fill_in(page)
    expect(page).to_have_url(checkout)
    expect(page.get_by_role("heading", name="Checkout")).to_be_visible()


def test_signing_in_never_leads_to_another_site(person, visit):
    page = visit()
    page.goto("/login?next=https://evil.example/")
    person.fill_in(page)

    expect(page).to_have_url(re.compile(r"/numbers$"))


def test_wrong_password_and_form_that_expired_say_what_to_do(person, visit):
    page = visit()
    page.goto("/login")
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill("not the one that was chosen")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("E-mail or password is wrong")
    person.fill_in(page)
    expect(page.get_by_role("heading", name="Phone numbers")).to_be_visible()
    check_out(page)

    page.locator("[name=csrf_token]").evaluate_all("all => all.forEach(one => { one.value = 'x' })")
    page.get_by_role("button", name="Keep them longer").click()
    expect(page.get_by_role("heading", name="The form has expired")).to_be_visible()
    expect(page.get_by_role("main").get_by_text("csrf_failed").first).to_be_visible()


def test_an_invitation_leads_to_a_first_sign_in(product, visit):
    product.open_account(card=None)
    mail = mail_to(product, None)
    page = visit()
    page.goto(mail["link"])
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password, once more").fill("other")
    page.locator("form").first.evaluate("form => { form.noValidate = true }")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("alert")).to_contain_text("not the same")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()

    expect(page.get_by_role("main").get_by_text("Your password is set.")).to_be_visible()
    page.get_by_label("E-mail").fill(mail["to"])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Phone numbers")).to_be_visible()
    page.goto(mail["link"])
    expect(page.get_by_role("heading", name="This link was used")).to_be_visible()


def test_a_viewer_looks_and_cannot_buy(product, visit):
    viewer = invite(product, "viewer")
    page = viewer.sign_in(visit(), "/search?country=US")

    expect(page.get_by_text("Your role may look, not buy.")).to_be_visible()
    expect(page.get_by_label("Quantity of").first).to_be_disabled()
    expect(page.get_by_role("button", name="Checkout")).to_have_count(0)

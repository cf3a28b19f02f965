"""Buying as a customer does it: in Chromium, against the whole running product."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.people import add_number, check_out, choose_numbers, confirm, type_card

pytestmark = pytest.mark.browser


def test_the_demo_user_buys_two_numbers_in_dialogs_without_a_reload(demo, visit):
    page = demo.sign_in(visit())
    page.evaluate("window.marker = 'still the same page'")
    dialog = add_number(page)
    expect(page.get_by_role("heading", name="Add Number")).to_be_visible()
    dialog.get_by_label("Quantity of").first.select_option("1")
    expect(dialog.get_by_text("1 number chosen: $3.00 today")).to_be_visible()
    dialog.get_by_role("button", name="Pick numbers").first.click()
    expect(dialog.get_by_text("No documents needed.")).to_be_visible()
    picked = dialog.get_by_role("group", name="Single numbers").get_by_role("checkbox").nth(3)
    number = picked.get_attribute("value")
    picked.check()
    expect(dialog.get_by_text("2 numbers chosen: $6.00 today")).to_be_visible()
    expect(page.get_by_role("button", name="Close")).to_be_in_viewport()
    expect(dialog.get_by_role("button", name="Checkout")).to_be_in_viewport()

    dialog.get_by_role("button", name="Checkout").click()
    expect(
        dialog.get_by_text(re.compile("Today .6.00, then .* bound until .* in all"))
    ).to_be_visible()
    expect(dialog.get_by_text("not included in your payment plan")).to_be_visible()
    dialog.get_by_role("link", name="Add a card").click()
    type_card(page, "4242 4242 4242 4242")
    dialog.get_by_role("link", name="Buy Now").click()
    expect(dialog.get_by_text("Your Visa ending in 4242 will be charged now.")).to_be_visible()
    dialog.get_by_role("button", name="Buy for $6.00").click()

    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Your 2 numbers are ready.")).to_be_visible()
    expect(page.get_by_text("comes with 2 channels")).to_be_visible()
    expect(page.get_by_role("link", name="Receipt")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Done")).to_have_count(1)
    page.get_by_role("link", name="See your numbers").click()
    expect(page.locator(f"[data-copy='{number}']")).to_be_visible()
    assert page.evaluate("window.marker") == "still the same page"
    assert [c.amount_minor for c in demo.charges()] == [600]


def test_ten_in_a_row_are_chosen_at_once_and_stay_chosen_in_another_search(person, visit):
    page = person.sign_in(visit())
    dialog = add_number(page, "Houston")  # Other tests change what New York and Chicago have.
    dialog.get_by_role("button", name="Pick numbers").first.click()
    dialog.get_by_role("group", name="Ten in a row").get_by_role("checkbox").first.check()
    expect(dialog.get_by_text("10 numbers chosen: $12.60 today")).to_be_visible()
    dialog.get_by_label("City").fill("")
    dialog.get_by_role("button", name="Search").click()
    expect(dialog.get_by_role("group", name="Also chosen").get_by_role("checkbox")).to_be_checked()
    dialog.get_by_role("button", name="Unit Cost").click()
    expect(page).to_have_url(re.compile("sort=unit_cost"))
    expect(dialog.get_by_role("columnheader", name="Unit Cost")).to_have_attribute(
        "aria-sort", "ascending"
    )
    expect(dialog.get_by_role("button", name="Unit Cost")).to_be_focused()
    dialog.get_by_role("button", name="Unit Cost").press("Enter")
    expect(page).to_have_url(re.compile("sort=-unit_cost"))
    expect(dialog.get_by_text("10 numbers chosen: $12.60 today")).to_be_visible()

    dialog.get_by_role("button", name="Checkout").click()
    expect(dialog.get_by_role("rowheader")).to_have_count(10)


def test_the_list_that_changes_below_takes_no_focus_from_the_dialog(person, visit):
    page = person.sign_in(visit())
    expect(page.locator("#numbers tbody tr")).to_have_count(1)
    dialog = add_number(page)
    number = person.api.get("/v1/numbers").body["data"][0]["num_id"]

    def meanwhile(route):
        person.api.ask("PATCH", f"/v1/numbers/{number}", {"labels": ["changed"]})
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.locator("#numbers", has_text="changed").wait_for(state="attached")
        route.continue_()

    page.route("**/search", meanwhile)
    dialog.get_by_role("button", name="Unit Cost").click()
    expect(page).to_have_url(re.compile("sort=unit_cost"))
    expect(dialog.get_by_role("button", name="Unit Cost")).to_be_focused()


def test_cities_are_suggested_and_nothing_found_says_what_to_leave_out(person, visit):
    page = person.sign_in(visit(), "/search")
    page.get_by_label("Country", exact=True).select_option("US")
    page.get_by_label("City").press_sequentially("new y")
    expect(page.locator("#cities option")).to_have_count(1)
    expect(page.locator("#cities option")).to_have_attribute("value", "New York")
    page.get_by_label("State", exact=True).select_option("Texas")
    page.get_by_label("City").fill("New York")
    page.get_by_role("button", name="Search").click()

    expect(page.get_by_role("heading", name="Nothing on sale fits")).to_be_visible()
    page.get_by_role("link", name="Without the state").click()
    expect(page.get_by_label("Quantity of").first).to_be_visible()
    expect(page.get_by_label("City")).to_have_value("New York")
    expect(page.get_by_label("State", exact=True)).to_have_value("")


def test_the_result_survives_reload_and_back(person, visit):
    page = person.add_card().sign_in(visit())
    check_out(page)
    confirm(page)
    expect(page.locator("[data-status=fulfilled]")).to_be_visible()

    page.reload()
    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Ordered already")).to_be_visible()
    page.get_by_role("link", name="See the order").click()
    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    assert len(person.orders()) == 1


def test_a_double_click_is_one_order_and_one_charge(person, visit):
    page = person.add_card().sign_in(visit())
    check_out(page)
    page.get_by_role("link", name="Buy Now").click()
    page.get_by_role("button", name="Buy for").dblclick()

    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    assert len(person.orders()) == 1
    assert [c.amount_minor for c in person.charges()] == [600]


def test_the_same_form_sent_five_times_at_once_is_one_order(person, visit):
    page = person.add_card().sign_in(visit())
    check_out(page)
    page.get_by_role("link", name="Buy Now").click()
    expect(page.get_by_role("button", name="Buy for")).to_be_visible()

    places = page.evaluate("""async () => {
        const form = document.querySelector('form[action$="/buy"]');
        const body = new URLSearchParams(new FormData(form));
        const send = () => fetch(form.action, { method: 'POST', body });
        const answers = await Promise.all([send(), send(), send(), send(), send()]);
        return answers.map((one) => one.url);
    }""")

    assert len(set(places)) == 1
    assert "/orders/ord_" in places[0]
    page.goto(places[0])
    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    assert len(person.orders()) == 1
    assert len(person.charges()) == 1


def test_everything_works_by_plain_forms_without_javascript(person, visit):
    page = person.sign_in(visit(java_script_enabled=False))
    choose_numbers(page, 1)
    page.get_by_role("button", name="Pick numbers").first.click()
    page.get_by_role("group", name="Single numbers").get_by_role("checkbox").nth(2).check()
    expect(page.get_by_label("Quantity of").first).to_have_value("1")
    page.get_by_role("button", name="Update", exact=True).last.click()
    expect(page.get_by_text("2 numbers chosen: $6.00 today")).to_be_visible()
    page.get_by_role("button", name="Checkout").click()
    expect(page.get_by_role("row")).to_have_count(3)

    page.get_by_role("link", name="Add a card").click()
    page.get_by_role("button", name="Add test card").click()
    page.get_by_role("link", name="Buy Now").click()
    page.get_by_role("button", name="Buy for").click()

    expect(page.get_by_text("Your 2 numbers are ready.")).to_be_visible()
    page.get_by_role("link", name="See your numbers").click()
    expect(page.get_by_role("rowheader")).to_have_count(3)  # With the free one.
    page.get_by_label("Number, label or note").fill("0000000")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="No number fits")).to_be_visible()
    assert len(person.charges()) == 1


def test_the_bank_s_step_is_made_on_the_result_page(person, visit):
    page = person.add_card("pm_card_authenticationRequired").sign_in(visit())
    check_out(page)
    confirm(page)
    page.get_by_role("button", name="Confirm with your bank").click()
    page.frame_locator("dialog iframe").get_by_role("button", name="Complete").click()

    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    assert [c.amount_minor for c in person.charges()] == [600]


def test_numbers_can_be_kept_longer_and_given_back(person, visit):
    page = person.sign_in(visit())
    check_out(page)
    kept = page.get_by_text("They are kept for you until")
    with page.expect_response(re.compile("/extend$")):
        page.get_by_role("button", name="Keep them longer").click()
    expect(kept).to_be_visible()
    page.get_by_role("button", name="Give them back").click()

    expect(page.get_by_role("heading", name="Given back")).to_be_visible()
    page.get_by_role("link", name="Search again").click()
    expect(page.get_by_label("Quantity of").first).to_have_value("2")

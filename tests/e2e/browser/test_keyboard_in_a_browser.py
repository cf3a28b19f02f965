"""From signing in to a number that is bought, with the keyboard alone."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture
def product(embedded):
    """One runtime will do: the pages come from the same code."""
    return embedded


def test_somebody_buys_with_the_keyboard_alone(person, visit):
    page = visit()
    sign_in_by_keys(page, person.add_card())
    go_to(page, "Add Number")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Add Number")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("link", name="Add Number").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Add Number")).to_be_focused()
    search_by_keys(page)
    go_to(page, "Quantity of")
    page.keyboard.press("ArrowDown")
    go_to(page, "Checkout")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Checkout")).to_be_focused()
    go_to(page, "Keep them longer")
    with page.expect_response(re.compile("/extend$")):
        page.keyboard.press("Space")
    expect(page.get_by_role("heading", name="Checkout")).to_be_focused()
    go_to(page, "Buy Now")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Confirm Purchase")).to_be_focused()
    go_to(page, "Buy for")
    page.keyboard.press("Enter")

    expect(page.locator("[data-status=fulfilled]")).to_be_visible()
    assert len(person.charges()) == 1
    open_by_keys(page)


def sign_in_by_keys(page, person):
    """From the form to the list of numbers; its menu opens, and closes without losing the place."""
    page.goto("/login")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(person.email)
    go_to(page, "Password")
    page.keyboard.type(person.password)
    go_to(page, "Sign in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Phone Numbers")).to_be_visible()
    go_to(page, "Call Routing")
    page.keyboard.press("Space")
    go_to(page, "Phone Numbers")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Phone Numbers")).to_be_hidden()
    assert here(page)["name"] == "Call Routing"


def search_by_keys(page):
    """The lists follow the state, a row opens and is closed again; the focus is never lost."""
    go_to(page, "State")
    page.keyboard.type("Texas")
    expect(page.get_by_label("State", exact=True)).to_have_value("TX")
    expect(page.get_by_label("State", exact=True)).to_be_focused()
    go_to(page, "City")
    page.keyboard.type("Dallas")
    page.keyboard.press("Enter")
    expect(page.locator("#results [data-focus]")).to_be_focused()
    go_to(page, "Pick numbers")
    page.keyboard.press("Space")
    ten = page.get_by_role("group", name="Ten in a row").get_by_role("checkbox").first
    expect(ten).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_text("10 numbers chosen")).to_be_visible()
    page.keyboard.press("Space")
    go_to(page, "Pick numbers", "Shift+Tab")
    page.keyboard.press("Space")
    expect(ten).to_be_hidden()
    assert here(page)["name"].startswith("Pick numbers")


def open_by_keys(page):
    """From the order to one of its numbers, and back to where it was opened."""
    expect(page.get_by_role("heading", name="Order", exact=True)).to_be_focused()
    go_to(page, "See your numbers")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Phone Numbers")).to_be_focused()
    go_to(page, "+1 ")
    opener = here(page)["name"]
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert here(page)["name"] == opener


def here(page):
    """What has the focus, by what it is called, and whether that can be seen."""
    return page.evaluate("""() => {
        const node = document.activeElement;
        const style = getComputedStyle(node);
        const label = node.labels && node.labels[0] ? node.labels[0].textContent : '';
        return {
            name: node.getAttribute('aria-label') || label.trim() || node.textContent.trim(),
            lost: node === document.body || node.tagName === 'IFRAME',
            seen: style.outlineStyle !== 'none' || style.boxShadow !== 'none',
        };
    }""")


def go_to(page, name, key="Tab"):
    """Tabs until the thing of that name has the focus; each stop shows that it has."""
    for _ in range(80):
        page.keyboard.press(key)
        found = here(page)
        assert found["seen"] or found["lost"], f"nobody sees the focus on {found['name']!r}"
        if found["name"].startswith(name) and not found["lost"]:
            return
    raise AssertionError(f"{name} is not reached with {key}")

"""Second factor, password and sessions in Chromium, with and without JavaScript."""

import os
import re
import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect

from deploy.embedded import Embedded
from services.gateway import totp
from shared import config
from shared.sealing import load_key_file
from tests.contract.payment_servers import wait_until
from tests.e2e.browser.looking import look
from tests.e2e.browser.people import PASSWORD
from tests.support.product import ROOT, Product

pytestmark = pytest.mark.browser
STEP = 30
NEW = "five goats under a slate roof"
CLI = "from deploy.cli import main; main()"


@pytest.fixture
def product(embedded: Product) -> Product:
    """One runtime will do: the pages come from the same code."""
    return embedded


class Authenticator:
    """What a phone shows. Each code counts once and a later one only: so the first that is typed is
    the one before, then follow the one of now and the next, and nobody waits for the clock."""

    def __init__(self, page):
        self._secret = page.locator("#secret").inner_text().replace(" ", "")

    def first(self):
        wait_until(lambda: time.time() % STEP < STEP - 5, timeout=STEP)
        return self._code(-1)

    def second(self):
        return self._code(0)

    def third(self):
        return self._code(1)

    def wrong(self):
        return self._code(99)

    def _code(self, later):
        return totp.code(self._secret, int(time.time()) // STEP + later)


def state(page):
    return page.get_by_role("region", name="Second factor")


def test_a_second_factor_is_set_up_used_and_removed(person, visit):
    page = person.sign_in(visit())
    page.evaluate("window.kept = true")
    page.get_by_role("link", name="Your sign-in").click()
    expect(page.get_by_role("heading", name="Your sign-in")).to_be_focused()
    expect(state(page)).to_contain_text("Off")
    look(page, "you-off", "#factor")

    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Set up your second factor")).to_be_focused()
    look(page, "you-set-up", ".qr path")
    phone = Authenticator(page)
    page.get_by_label("Code", exact=True).fill(phone.wrong())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("alert").filter(has_text="This code is wrong")).to_be_visible()
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    look(page, "you-wrong", "#code-problem")
    page.keyboard.type(phone.first())
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/you\?enrolled=1$"))
    expect(state(page)).to_contain_text("On")
    expect(page.locator("#announcer")).to_contain_text("Your second factor is on.")
    assert page.evaluate("window.kept"), "the page was loaded anew"
    look(page, "you-on", "main .note")

    page.get_by_role("button", name="Sign out").click()
    person.fill_in(page)
    expect(page.get_by_role("alert")).to_contain_text("A code of your authenticator is needed")
    page.get_by_label("Authenticator code").fill(phone.wrong())
    person.fill_in(page)
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong or was used already")
    look(page, "login-wrong-code", "[role=alert]")
    page.get_by_label("Authenticator code").fill(phone.second())
    person.fill_in(page)
    expect(page.get_by_role("heading", name="Phone Numbers")).to_be_visible()
    remove(page, phone)


def remove(page, phone):
    """In a dialog, which stays where it is when the code is wrong."""
    page.goto("/you")
    page.evaluate("window.kept = true")
    page.get_by_role("link", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Remove your second factor")).to_be_focused()
    look(page, "you-removal", "dialog[open] form")
    dialog.get_by_label("Code", exact=True).fill(phone.wrong())
    dialog.get_by_role("button", name="Remove it").click()
    expect(dialog.get_by_text("This code is wrong")).to_be_visible()
    expect(dialog.get_by_label("Code", exact=True)).to_be_focused()
    look(page, "you-removal-wrong", "dialog[open] #code-problem")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("/you$"))
    page.get_by_role("link", name="Remove").click()
    dialog.get_by_label("Code", exact=True).fill(phone.third())
    dialog.get_by_role("button", name="Remove it").click()
    expect(dialog).to_be_hidden()
    expect(state(page)).to_contain_text("Off")
    expect(page.locator("#announcer")).to_contain_text("Your second factor is off.")
    assert page.evaluate("window.kept"), "the page was loaded anew"


def test_a_password_is_changed_and_other_browsers_are_signed_out(person, visit):
    other = person.sign_in(visit(), "/numbers")
    page = person.sign_in(visit(), "/you")
    page.evaluate("window.kept = true")
    look(page, "you-sessions", ".sessions li")
    page.get_by_role("link", name="Change").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Change your password")).to_be_focused()
    look(page, "you-password", "dialog[open] form")
    change(dialog, "not this one at all")
    expect(dialog.get_by_text("This is not your password.")).to_be_visible()
    expect(dialog.get_by_label("Your password until now")).to_be_focused()
    look(page, "you-password-wrong", "dialog[open] #password-problem")

    change(dialog, PASSWORD)

    expect(dialog).to_be_hidden()
    expect(page.locator("#announcer")).to_contain_text("Your password is changed.")
    expect(page.locator(".sessions li")).to_have_count(1)
    assert page.evaluate("window.kept"), "the page was loaded anew"
    other.goto("/billing")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def change(dialog, current):
    """Fills in the form, with the same new password each time, and sends it."""
    dialog.get_by_label("Your password until now").fill(current)
    dialog.get_by_label("New password", exact=True).fill(NEW)
    dialog.get_by_label("New password, once more").fill(NEW)
    dialog.get_by_role("button", name="Change it").click()


def test_one_signs_out_everywhere_else_by_a_plain_form(person, visit):
    other = person.sign_in(visit(), "/numbers")
    page = person.sign_in(visit(java_script_enabled=False), "/you")
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("You are signed out everywhere else.")).to_be_visible()
    other.reload()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_secret_is_copied_without_its_spaces(person, visit):
    page = person.sign_in(visit(permissions=["clipboard-read", "clipboard-write"]), "/you")
    page.get_by_role("button", name="Set up").click()
    page.get_by_role("button", name="Copy the secret").click()

    expect(page.locator("#announcer")).to_have_text("Copied")
    shown = page.locator("#secret").inner_text()
    assert re.fullmatch("([A-Z2-7]{4} ){7}[A-Z2-7]{4}", shown)
    assert page.evaluate("navigator.clipboard.readText()") == shown.replace(" ", "")
    secret = shown.replace(" ", "")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])")
    assert secret not in kept + page.url


def test_without_javascript_a_second_factor_is_set_up_and_removed_by_plain_forms(person, visit):
    page = person.sign_in(visit(java_script_enabled=False), "/numbers")
    page.get_by_role("link", name="Your sign-in").click()
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    phone = Authenticator(page)
    page.get_by_label("Code", exact=True).fill(phone.wrong())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("This code is wrong")).to_be_visible()
    page.get_by_label("Code", exact=True).fill(phone.first())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("Your second factor is on.")).to_be_visible()
    page.reload()
    expect(state(page)).to_contain_text("On")

    page.get_by_role("link", name="Remove").click()
    page.get_by_label("Code", exact=True).fill(phone.second())
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("Your second factor is off.")).to_be_visible()


@pytest.fixture
def live(tmp_path):
    """A live installation that has just been started: its settings as the environment has them, and
    its address. The keys are nobody's: no money is touched, so Stripe is never asked."""
    load_key_file(tmp_path / "master.key", create=True)
    environ = {
        "PBXIM_MODE": "live",
        "PBXIM_HTTP": "127.0.0.1:0",
        "PBXIM_DATA": str(tmp_path / "data"),
        "PBXIM_KEY_FILE": str(tmp_path / "master.key"),
        "PBXIM_STRIPE_SECRET_KEY": "sk_live_nobody_s",
        "PBXIM_STRIPE_PUBLISHABLE_KEY": "pk_live_nobody_s",
        "PBXIM_STRIPE_WEBHOOK_SECRET": "whsec_nobody_s",
    }
    running = Embedded(config.load(environ))
    running.start()
    yield environ, running.settings.base_url
    running.stop()


def invited(environ, email):
    """The path of the link that ``pbxim staff invite`` prints."""
    done = subprocess.run(
        [sys.executable, "-c", CLI, "staff", "invite", email],
        env=os.environ | environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return f"/invitations/{done.stdout.strip().rpartition('/')[2]}"


def test_the_first_person_of_a_live_installation_is_led_to_it_and_on(live, visit):
    """As docs/how-to/go-live.md says, from the link to the back office."""
    environ, address = live
    page = visit(base_url=address)
    page.goto(invited(environ, "ann@example.com"))
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("main").get_by_text("Your password is set.")).to_be_visible()
    page.goto("/office/stock")
    page.get_by_label("E-mail").fill("ann@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Staff needs a second factor")).to_be_visible()
    expect(page.get_by_role("link", name="Back office")).to_have_count(0)
    look(page, "you-must", "#must")
    page.goto("/office/accounts")
    expect(page.get_by_text("Staff needs a second factor")).to_be_visible()
    page.goto("/office/stock")

    page.get_by_role("button", name="Set up").click()
    phone = Authenticator(page)
    page.get_by_label("Code", exact=True).fill(phone.wrong())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("This code is wrong")).to_be_visible()
    page.get_by_label("Code", exact=True).fill(phone.first())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Stock", exact=True)).to_be_focused()
    expect(page.get_by_role("main").get_by_text("Your second factor is on.")).to_be_visible()
    look(page, "you-went-on", "main .note")
    page.get_by_role("link", name="Accounts", exact=True).click()
    expect(page.get_by_role("heading", name="Accounts", exact=True)).to_be_visible()

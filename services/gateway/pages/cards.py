"""Cards: adding and removing them. Their numbers go to the payment provider and never reach us."""

from __future__ import annotations

from typing import Any

from flask import g, request

from services.gateway import texts
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go, own_path
from services.gateway.pages.rendering import known_problem, new_key, page
from services.gateway.surroundings import ask, gateway, order, require
from shared.errors import Refusal

PAGES = Pages()
TEST_CARDS = (
    "pm_card_visa",
    "pm_card_mastercard",
    "pm_card_visa_chargeDeclined",
    "pm_card_chargeCustomerFail",
    "pm_card_authenticationRequired",
)
_STRIPE_SCRIPT = "https://js.stripe.com/v3/"


@PAGES.get("/cards")
def show_cards() -> Answer:
    """The cards stand on the Billing page."""
    return go("/billing#cards")


@PAGES.get("/cards/new", Who.OWNER)
def show_new_card() -> Answer:
    """The provider's card fields; in the sandbox also a list of test cards."""
    settings = gateway().settings
    return page(
        "cards/new_card.html",
        target=own_path(request.args.get("next"), ""),
        problem=_problem(),
        script_url=settings.stripe_script_url or _STRIPE_SCRIPT,
        publishable_key=settings.stripe_publishable_key or "",
        test_cards=TEST_CARDS if settings.sandbox else (),
        form_key=new_key(),
    )


@PAGES.post("/cards", Who.OWNER)
def add_card() -> Answer:
    """Takes the card that the provider has accepted, then goes back to where it was needed."""
    target = own_path(request.form.get("next"), "")
    named = _named()
    g.command_key = f"page card:{request.form.get('form_key', '')[:64]}:{named}"
    try:
        card = order("billing", "add_payment_method", **named)
    except Refusal as error:
        return go("/cards/new", next=target, problem=error.code)
    return go(target) if target else go("/billing", added=card["id"])


@PAGES.post("/cards/<card_id>/default", Who.OWNER)
def make_card_default(card_id: str) -> Answer:
    """Charges this card from now on, unless another is named."""
    order("billing", "set_default_payment_method", payment_method_id=card_id)
    return go("/billing", default=card_id)


@PAGES.get("/cards/<card_id>/removal", Who.OWNER)
def show_card_removal(card_id: str) -> Answer:
    """Asks before a card is removed; a dialog where there is JavaScript."""
    cards = ask("billing", "list_payment_methods")
    card = next((one for one in cards if one["id"] == card_id), None)
    if card is None:
        return go("/billing", problem="payment_method_unknown")
    others = [one for one in cards if one is not card]
    return page("cards/remove_card.html", card=card, heir=others[0] if others else None)


@PAGES.post("/cards/<card_id>/removal", Who.OWNER)
def remove_card(card_id: str) -> Answer:
    """Takes a card away."""
    try:
        order("billing", "remove_payment_method", payment_method_id=card_id)
    except Refusal as error:
        return go("/billing", problem=error.code)
    return go("/billing", removed="1")


def _problem() -> dict[str, str] | None:
    problem = known_problem(request.args.get("problem"))
    declined = problem is not None and problem["code"] == "card_declined"
    return (
        {**problem, "next": texts.text("cards.new.declined")} if problem and declined else problem
    )


def _named() -> dict[str, Any]:
    token = request.form.get("payment_method", "")
    if token:
        require(gateway().settings.sandbox and token in TEST_CARDS, "payment_method_unknown")
        return {"payment_method": token}
    return {"setup_intent_id": request.form.get("setup_intent_id", "")}

"""Billing: what is owed and paying it, cards, orders, charges with their receipts."""

from __future__ import annotations

from typing import Any

from flask import g, request

from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go, with_query
from services.gateway.pages.rendering import formats, known_problem, new_key, page
from services.gateway.surroundings import ask, gateway, order, require
from shared.errors import Refusal

PAGES = Pages()
RUNNING = frozenset({"requested", "unknown", "action_required"})
_ROWS = 10
_NO_CARD = frozenset({"payment_method_required", "payment_method_unknown"})


@PAGES.get("/billing")
def show_billing() -> Answer:
    """All of it on one page; orders and charges are paged each for itself."""
    cards = ask("billing", "list_payment_methods")
    return page(
        "billing/billing.html",
        owed=ask("billing", "get_balance")["currencies"],
        cards=[{**card, "expired": _expired(card)} for card in cards],
        orders=_listed("orders"),
        charges=_listed("charges"),
        done=_done(cards),
        problem=known_problem(request.args.get("problem")),
    )


@PAGES.get("/billing/payment", Who.OWNER)
def show_owed_payment() -> Answer:
    """Names the amount and the card; a dialog where there is JavaScript."""
    wanted = request.args.get("currency", "")
    found = [one for one in ask("billing", "get_balance")["currencies"] if one["payable"]]
    owed = next((one for one in found if one["currency"] == wanted), None)
    if owed is None:
        return go("/billing", problem="nothing_owed")
    return page(
        "billing/pay.html",
        owed=owed,
        cards=ask("billing", "list_payment_methods"),
        form_key=new_key(),
    )


@PAGES.post("/billing/payments")
def pay_owed() -> Answer:
    """Pays what is owed in a currency, once per form and card."""
    currency = request.form.get("currency", "")
    card = request.form.get("payment_method_id") or None
    # A browser's Back keeps the form's key, so the card is part of the key, too.
    g.command_key = f"page pay owed:{request.form.get('form_key', '')[:64]}:{currency}:{card}"
    try:
        paid = order("billing", "pay_owed", currency=currency, payment_method_id=card)
    except Refusal as error:
        return _not_paid(currency, error.code)
    return go(f"/billing/payments/{paid['id']}")


@PAGES.get("/billing/payments/<payment_id>")
def show_payment(payment_id: str) -> Answer:
    """A payment of what is owed; while it runs the page looks again every second."""
    found = _payment(payment_id)
    waits = found["status"] == "action_required"
    return page(
        "billing/payment.html",
        payment=found,
        running=found["status"] in RUNNING,
        action=ask("billing", "get_payment_action", charge_id=payment_id) if waits else None,
        checked="checked" in request.args,
        problem=known_problem((found["failure"] or {}).get("code")),
    )


@PAGES.post("/billing/payments/<payment_id>/confirmation")
def confirm_owed_payment(payment_id: str) -> Answer:
    """The customer came back from the bank's step; how it ended, the provider is asked."""
    try:
        order("billing", "confirm_owed_payment", charge_id=payment_id)
    except Refusal as error:
        if error.code != "nothing_to_confirm":
            raise
    return go(f"/billing/payments/{payment_id}", checked="1")


def _payment(payment_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ask("billing", "get_charge", charge_id=payment_id)
    require(found["kind"] == "balance", "charge_unknown")
    return {**found, "receipt_url": _receipt(found)}


def _not_paid(currency: str, code: str) -> Answer:
    if code in _NO_CARD:
        return go("/cards/new", next=with_query("/billing/payment", currency=currency))
    return go("/billing", problem=code)


def _listed(name: str) -> dict[str, Any]:
    """One list with the ways to its next and its first rows; the other list stays where it is."""
    service = {"orders": "orders", "charges": "billing"}[name]
    after = request.args.get(name) or None
    found = ask(service, f"list_{name}", limit=_ROWS, after=after)
    rows = [{**row, "receipt_url": _receipt(row)} for row in found["data"]]
    following = _address(**{name: found["next"]}) if found["next"] else None
    first = _address(**{name: None}) if after else None
    return {"name": name, "rows": rows, "next": following, "first": first}


def _address(**changed: str | None) -> str:
    lists = {name: request.args.get(name) for name in ("orders", "charges")}
    (name,) = changed
    return f"{with_query('/billing', **(lists | changed))}#{name}"


def _receipt(charge: dict[str, Any]) -> str | None:
    """The provider's receipt, if it is an ordinary address."""
    url = charge.get("receipt_url") or ""
    return url if url.startswith(("https://", "http://")) else None


def _expired(card: dict[str, Any]) -> bool:
    today = formats().today(gateway().runtime.clock.now())
    return (card["exp_year"], card["exp_month"]) < (today.year, today.month)


def _done(cards: list[dict[str, Any]]) -> tuple[str, str] | None:
    """What the form before this page did, and with which card."""
    named = {card["id"]: formats().card(card) for card in cards}
    for what in ("added", "default"):
        card = named.get(request.args.get(what, ""))
        if card is not None:
            return f"cards.{what}.done", card
    return ("cards.removed.done", "") if "removed" in request.args else None

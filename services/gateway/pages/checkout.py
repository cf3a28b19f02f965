"""From chosen numbers to an order: the quote, its checkout, the confirmation, the purchase.

A checkout is a quote, and a quote becomes one order: the purchase's key is the quote's id, so
double clicks, two tabs and retries end in the same order.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from flask import g, request

from services.gateway import buying, texts
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.formats import amount
from services.gateway.pages.paths import go, with_query
from services.gateway.pages.rendering import formats, known_problem, page
from services.gateway.pages.search_query import query_from
from services.gateway.problems import read
from services.gateway.schemas.buying import OrderBody
from services.gateway.surroundings import ask, context, gateway, note_refusal, order
from shared.days import last_day
from shared.errors import PbxError, Refusal
from shared.money import Money

PAGES = Pages()
_MINUTE = 60
_NO_CARD = frozenset({"payment_method_required", "payment_method_unknown"})


@PAGES.post("/checkout")
def make_checkout() -> Answer:
    """Holds what was chosen on the search page."""
    query = query_from(request.form)
    items = query.items()
    if not items:
        return go(query.address(problem="nothing"))
    # A browser's Back keeps the form's key, so what was chosen is part of the key, too.
    chosen = hashlib.sha256(repr(items).encode()).hexdigest()
    g.command_key = f"page checkout:{request.form.get('form_key', '')[:64]}:{chosen}"
    try:
        held = order("inventory", "hold_numbers", items=items)
    except Refusal as error:
        note_refusal()  # The search shows what is gone.
        return go(query.address(problem=error.code))
    return go(f"/checkout/{held['id']}", back=query.address())


@PAGES.get("/checkout/<quote_id>")
def show_checkout(quote_id: str) -> Answer:
    """The numbers held, what they cost, and for how long they are kept."""
    quote = ask("inventory", "get_hold", hold_id=quote_id)
    return page("checkout/checkout.html", **_values(quote))


@PAGES.get("/checkout/<quote_id>/confirm")
def show_confirm(quote_id: str) -> Answer:
    """Names the card and the amount; a dialog where there is JavaScript."""
    quote = ask("inventory", "get_hold", hold_id=quote_id)
    if quote["status"] != "open":
        return go(f"/checkout/{quote_id}")
    return page("checkout/confirm.html", **_values(quote))


@PAGES.post("/checkout/<quote_id>/extend")
def extend_checkout(quote_id: str) -> Answer:
    """Keeps the numbers longer."""
    return _and_back("extend_hold", quote_id)


@PAGES.post("/checkout/<quote_id>/release")
def release_checkout(quote_id: str) -> Answer:
    """Gives the numbers back."""
    return _and_back("release_hold", quote_id)


@PAGES.post("/checkout/<quote_id>/buy", Who.BUYER)
def buy(quote_id: str) -> Answer:
    """Places the order of this quote, or finds the one that was placed."""
    quote = ask("inventory", "get_hold", hold_id=quote_id)
    if quote["order_id"] is not None:
        return go(f"/orders/{quote['order_id']}")
    card = request.form.get("payment_method_id") or None
    g.command_key = f"page buy:{quote_id}"
    try:
        wanted = read(OrderBody, quote_id=quote_id, payment_method_id=card)
        placed = buying.place(wanted, [], repeated=True)
    except Refusal as error:
        return _not_placed(quote_id, error)
    return go(f"/orders/{placed['id']}")


def _and_back(method: str, quote_id: str) -> Answer:
    try:
        order("inventory", method, hold_id=quote_id)
    except Refusal as error:
        if error.code not in {"quote_used", "quote_expired"}:
            raise
    return go(f"/checkout/{quote_id}", back=request.form.get("back"))


def _not_placed(quote_id: str, error: PbxError) -> Answer:
    checkout = f"/checkout/{quote_id}"
    if error.code in _NO_CARD:
        return go("/cards/new", next=checkout)
    return go(checkout, problem=error.code)


def _values(quote: dict[str, Any]) -> dict[str, Any]:
    is_open = quote["status"] == "open"
    cards = ask("billing", "list_payment_methods") if is_open else []
    back = request.args.get("back", "")
    checkout = with_query(f"/checkout/{quote['id']}", back=back)
    return {
        "quote": quote,
        "cards": cards,
        "free": amount(quote["due_now"]).micros == 0,
        "sentence": _sentence(quote),
        "seconds_left": _seconds_left(quote),
        "left": _left(_seconds_left(quote)),
        "requirements": _requirements(quote) if is_open else [],
        "problem": known_problem(request.args.get("problem")),
        "back": back if back.startswith("/search?") else "/search",
        "checkout": checkout,
        "add_card": with_query("/cards/new", next=checkout),
    }


def _sentence(quote: dict[str, Any]) -> str:
    """Today, then monthly, bound until when, how much that is in all. The longest minimum period
    says until when; each number counts with its own."""
    shown = formats()
    months = max((line["min_period_months"] for line in quote["lines"]), default=0)
    values = {
        "today": shown.money(quote["due_now"]),
        "monthly": shown.money(quote["monthly_total"]),
    }
    if not months:
        return texts.text("checkout.sentence.free", **values)
    until = shown.day(last_day(shown.today(gateway().runtime.clock.now()), months))
    total = shown.money(_commitment(quote["lines"]).as_json())
    return texts.text("checkout.sentence", until=until, total=total, **values)


def _commitment(lines: list[dict[str, Any]]) -> Money:
    """Set-up, and every month of each number's minimum period."""
    parts = [
        amount(line["setup_total"]) + amount(line["monthly_total"]) * line["min_period_months"]
        for line in lines
    ]
    return Money(sum(part.micros for part in parts), parts[0].currency)


def _requirements(quote: dict[str, Any]) -> list[Any]:
    """The documents that these numbers need, each once."""
    items = [{"offer_id": line["offer_id"]} for line in quote["lines"]]
    # Of what was held a moment ago only the offers matter here: there is nothing to wait for.
    found = gateway().client.call("inventory", "look_up_items", context(0), items=items)
    needed = [one for row in found if row["offer"] for one in row["offer"]["requirements"]]
    return [one for n, one in enumerate(needed) if one not in needed[:n]]


def _seconds_left(quote: dict[str, Any]) -> int:
    ends = datetime.fromisoformat(quote["expires_at"])
    return max(0, int((ends - gateway().runtime.clock.now()).total_seconds()))


def _left(seconds: int) -> str:
    minutes = seconds // _MINUTE
    return (
        texts.counted("checkout.minutes", minutes) if minutes else texts.text("checkout.left.none")
    )

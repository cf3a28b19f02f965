"""One order with its progress, its outcome and what to do next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import g, request

from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go
from services.gateway.pages.rendering import known_problem, new_key, page
from services.gateway.surroundings import ask, gateway, order, passing_over

PAGES = Pages()
RUNNING = frozenset({"placed", "reserving", "charging", "action_required"})
_USUAL = timedelta(seconds=10)
_STEPS = ("reserve", "pay", "deliver")
# How many steps are behind an order of this status.
_DONE = {
    "placed": 0,
    "reserving": 0,
    "charging": 1,
    "action_required": 1,
    "needs_operator": 1,
    "fulfilled": 3,
    "refunded": 3,
}


@PAGES.get("/orders")
def show_orders() -> Answer:
    """The orders stand on the Billing page."""
    return go("/billing#orders")


@PAGES.get("/orders/<order_id>")
def show_order(order_id: str) -> Answer:
    """One order; while it runs the page looks again every second."""
    found = ask("orders", "get_order", order_id=order_id)
    # Whoever reads here that it is done finds its numbers in the list.
    gateway().positions.seen(g.caller.id, found["position"])
    charge = _charge(found)
    return page(
        "orders/order.html",
        order=found,
        running=found["status"] in RUNNING,
        steps=_steps(found, charge),
        partly=any(n["status"] in {"refused", "refunded"} for n in found["numbers"]),
        bought=[n for n in found["numbers"] if n["status"] == "purchased"],
        slow=_slow(found),
        problem=known_problem((found["failure"] or {}).get("code")),
        form_key=new_key(),
        receipt=_receipt(charge),
        action=_action(found),
        checked="checked" in request.args,
    )


@PAGES.post("/orders/<order_id>/payment-confirmation")
def confirm_order_payment(order_id: str) -> Answer:
    """The customer came back from the bank's step; how it ended, the provider is asked."""
    passing_over("nothing_to_confirm")(
        lambda: order("orders", "confirm_payment", order_id=order_id)
    )
    return go(f"/orders/{order_id}", checked="1")


def _slow(found: dict[str, Any]) -> bool:
    """Whether it takes longer than it should: then a provider does not answer."""
    since = gateway().runtime.clock.now() - datetime.fromisoformat(found["created_at"])
    waiting = found["status"] in RUNNING - {"action_required"}
    return waiting and found["kind"] != "free" and since > _USUAL


def _steps(found: dict[str, Any], charge: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Each step with its state: done, now, failed, waiting. What is too little to be charged is
    owed instead."""
    owed = charge is not None and charge["status"] == "owed"
    names = ("reserve", "owe", "deliver") if owed else _STEPS
    status = found["status"]
    failed = status == "failed"
    behind = (1 if found["charge_id"] else 0) if failed else _DONE[status]
    states = ["done" if n < behind else "waiting" for n in range(len(_STEPS))]
    if behind < len(_STEPS):
        states[behind] = "failed" if failed else "now"
    return list(zip(names, states, strict=True))


def _charge(found: dict[str, Any]) -> dict[str, Any] | None:
    if found["charge_id"] is None:
        return None
    charge: dict[str, Any] | None = passing_over("charge_unknown")(
        lambda: ask("billing", "get_charge", charge_id=found["charge_id"])
    )
    return charge


def _receipt(charge: dict[str, Any] | None) -> str | None:
    """The provider's receipt, if it is an ordinary address."""
    url = (charge or {}).get("receipt_url") or ""
    return url if url.startswith(("https://", "http://")) else None


def _action(found: dict[str, Any]) -> dict[str, Any] | None:
    if found["status"] != "action_required" or found["charge_id"] is None:
        return None
    action: dict[str, Any] | None = passing_over("charge_unknown")(
        lambda: ask("billing", "get_payment_action", charge_id=found["charge_id"])
    )
    return action

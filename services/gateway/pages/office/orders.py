"""Orders that wait for a person: what they wait for, and what staff can do about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import g, request

from services.gateway import texts
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.office.common import account_name, office_page
from services.gateway.pages.paths import go, with_query
from services.gateway.pages.rendering import known_problem, new_key, page
from services.gateway.routes.users import people
from services.gateway.surroundings import (
    STAFF_ACCOUNT,
    ask,
    gateway,
    order,
    passing_over,
    require,
)
from shared.errors import Refusal

PAGES = Pages()
_PAGE = 20
_DONE = ("check", "refund", "end")
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@PAGES.get("/office/orders", Who.STAFF)
def show_operator_orders() -> Answer:
    """All accounts; the longest waiting first."""
    after = request.args.get("after") or None
    found = ask("orders", "list_operator_orders", limit=_PAGE, after=after)
    following = found["next"]
    return office_page(
        "office/orders.html",
        "orders",
        rows=[_with_surroundings(row) for row in found["data"]],
        next_page=with_query("/office/orders", after=following) if following else None,
        first_page=after is not None,
    )


@PAGES.get("/office/orders/<order_id>", Who.STAFF)
def show_operator_order(order_id: str) -> Answer:
    """One order with its charge, and what was done; a dialog where there is JavaScript."""
    found = _with_surroundings(ask("orders", "get_operator_order", order_id=order_id))
    steps = [step | {"who": _who(step["actor"])} for step in found["steps"]]
    done = request.args.get("done", "")
    return page(
        "office/order.html",
        order=found | {"steps": steps},
        may=_may(found),
        done=done if done in _DONE else "",
        problem=known_problem(request.args.get("problem")),
        form_key=new_key(),
    )


@PAGES.post("/office/orders/<order_id>/check", Who.STAFF)
def check_order_charge(order_id: str) -> Answer:
    """Has the provider asked how the charge stands."""
    return _act("check", order_id, "check_order_charge")


@PAGES.post("/office/orders/<order_id>/end", Who.STAFF)
def end_order(order_id: str) -> Answer:
    """Ends it as failed."""
    return _act("end", order_id, "give_up_order")


@PAGES.post("/office/orders/<order_id>/refund", Who.STAFF)
def refund_order(order_id: str) -> Answer:
    """Returns an amount, or all that is left."""
    typed = request.form.get("amount", "").strip()
    amount = {"amount": typed, "currency": request.form.get("currency", "")} if typed else None
    return _act("refund", order_id, "refund_order", amount=amount)


def _act(done: str, order_id: str, method: str, **more: Any) -> Answer:
    path, reason = f"/office/orders/{order_id}", request.form.get("reason", "").strip()
    g.command_key = f"page operator:{request.form.get('form_key', '')[:64]}:{done}"
    try:
        require(reason, "missing_field", param="reason")
        order("orders", method, order_id=order_id, reason=reason, **more)
    except Refusal as error:
        return go(path, problem=error.code)
    return go(path, done=done)


def _with_surroundings(row: dict[str, Any]) -> dict[str, Any]:
    charge = _charge(row)
    return row | {
        "account": account_name(row["account_id"]),
        "charge": charge,
        "reason": _reason(row, charge),
        "waits": _waits(row["since"]) if row["since"] else "",
        "receipt": _receipt(charge),
    }


def _who(actor: str) -> str:
    """A user's e-mail; whoever else acted, by id."""
    user = passing_over("user_unknown")(lambda: people().get(STAFF_ACCOUNT, actor))
    return str(user.email if user is not None else actor)


def _charge(row: dict[str, Any]) -> dict[str, Any] | None:
    if row["charge_id"] is None:
        return None
    found: dict[str, Any] | None = passing_over("charge_unknown")(
        lambda: ask("billing", "get_charge", charge_id=row["charge_id"])
    )
    return found


def _reason(row: dict[str, Any], charge: dict[str, Any] | None) -> str:
    """What it waits for: numbers to be reserved, the charge, or numbers to be delivered."""
    if row["waits_for"] == "no_charge":
        return "charge"
    if charge is None:
        return "stock"
    return "delivery" if charge["status"] == "succeeded" else "payment"


def _may(row: dict[str, Any]) -> dict[str, bool]:
    waits = row["status"] == "needs_operator"
    paid = row["charge"] is not None and row["charge"]["status"] == "succeeded"
    return {"check": waits and row["charge"] is not None, "end": waits and not paid, "refund": paid}


def _receipt(charge: dict[str, Any] | None) -> str | None:
    url = (charge or {}).get("receipt_url") or ""
    return url if url.startswith(("https://", "http://")) else None


def _waits(since: str) -> str:
    passed = gateway().runtime.clock.now() - datetime.fromisoformat(since)
    for unit, length in (("days", _DAY), ("hours", _HOUR)):
        if passed >= length:
            return texts.counted(f"office.waits.{unit}", passed // length)
    return texts.counted("office.waits.minutes", passed // timedelta(minutes=1))

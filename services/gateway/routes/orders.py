"""Orders: placing, waiting, 3-D Secure, refunds."""

from __future__ import annotations

from typing import Any

from flask import g

from services.gateway import buying
from services.gateway.declare import Key, Routes, created
from services.gateway.identity import Who
from services.gateway.routes.quotes import HOLDING, items_of
from services.gateway.schemas.buying import (
    Order,
    OrderBody,
    OrderPath,
    Orders,
    OrdersQuery,
    RefundBody,
    WaitQuery,
)
from services.gateway.schemas.common import Nothing, page
from services.gateway.surroundings import ask, gateway, order, passing_over, without_position
from services.gateway.waiting import ENDED, FRESH_SECONDS, until_ended

ROUTES = Routes("Orders", "Buying numbers: placed, reserved, charged, fulfilled.")
NUMBER_VIEWS = ("numbers",)
_PLACING = (
    "payment_method_required",
    "payment_method_unknown",
    "quote_unknown",
    "quote_used",
    "quote_expired",
)


@ROUTES.post(
    "/v1/orders",
    {201: Order},
    who=Who.BUYER,
    key=Key.REQUIRED,
    refuses=(*HOLDING, *_PLACING),
)
def place_order(body: OrderBody, query: WaitQuery) -> tuple[Any, int]:
    """Buy the numbers of a quote, or of items"""
    placed = buying.place(body, items_of(body), repeated=_repeated())
    return created(_shown(_wait(placed, query.wait, ENDED)))


@ROUTES.get("/v1/orders", Orders, waits_for=("orders",), refuses=("invalid_cursor",))
def list_orders(query: OrdersQuery) -> dict[str, Any]:
    """Orders, newest first"""
    found = ask("orders", "list_orders", status=query.status, limit=query.limit, after=query.cursor)
    return page({**found, "data": [without_position(one) for one in found["data"]]})


@ROUTES.get("/v1/orders/<order_id>", Order, waits_for=("orders",), refuses=("order_unknown",))
def get_order(path: OrderPath) -> Any:
    """An order"""
    return _shown(ask("orders", "get_order", order_id=path.order_id))


@ROUTES.post(
    "/v1/orders/<order_id>/payment-confirmation",
    {200: Order},
    who=Who.BUYER,
    refuses=("order_unknown", "nothing_to_confirm", "account_needed"),
)
def confirm_payment(path: OrderPath, body: Nothing, query: WaitQuery) -> Any:  # noqa: ARG001
    """Say that the bank's step (3-D Secure) is done"""
    confirmed = order("orders", "confirm_payment", order_id=path.order_id)
    # It says ``action_required`` until billing has looked; what is awaited is what comes then.
    return _shown(_wait(confirmed, query.wait, ENDED - {"action_required"}))


@ROUTES.post(
    "/v1/orders/<order_id>/refunds",
    {200: Order},
    who=Who.STAFF,
    refuses=("order_unknown", "order_not_refundable", "refund_too_large", "charge_unknown"),
)
def refund_order(path: OrderPath, body: RefundBody) -> Any:
    """Give money back: an amount, the price of numbers, or all that is left"""
    return _shown(order("orders", "refund_order", order_id=path.order_id, **body.model_dump()))


def _repeated() -> bool:
    running = g.get("running")
    return running is not None and running.attempt > 1


def _wait(found: dict[str, Any], seconds: float, ended: frozenset[str]) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        # Right after the command the view may not know the order yet.
        now = passing_over("order_unknown")(
            lambda: ask("orders", "get_order", order_id=found["id"])
        )
        return now or found

    # Where all places are taken the order is answered as it is (docs/adr/0013).
    with gateway().waiters.place(wanted=seconds > 0) as may_wait:
        return until_ended(
            gateway().runtime.progress, found, read, seconds if may_wait else 0, ended
        )


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """The order as the API shows it. One that says ``fulfilled`` is complete in /numbers."""
    if found["status"] == "fulfilled" and found.get("position"):
        wanted = found["position"]
        progress = gateway().runtime.progress
        g.behind = not progress.wait_for(NUMBER_VIEWS, wanted, FRESH_SECONDS)
        gateway().positions.seen(g.caller.id, wanted)
        gateway().positions.seen(found["account_id"], wanted)
    if found["status"] == "action_required" and found.get("charge_id"):
        found = {**found, "payment_action": _action(found)}
    return without_position(found)


def _action(found: dict[str, Any]) -> dict[str, Any] | None:
    charge_id = found["charge_id"]
    action = passing_over("charge_unknown")(
        lambda: ask("billing", "get_payment_action", charge_id=charge_id)
    )
    if action is None:
        return None
    return {**action, "expires_at": found.get("action_expires_at")}

"""What is checked before an order exists: the request, the quote, the cards, then the numbers.

In this order a refusal leaves nothing behind (contract section 2, Orders).
"""

from __future__ import annotations

from typing import Any

from services.gateway.schemas.buying import OrderBody
from services.gateway.surroundings import ask, order, require


def place(body: OrderBody, items: list[dict[str, Any]], *, repeated: bool) -> dict[str, Any]:
    """Places the order. ``repeated``: an earlier request with this key may have placed it already.

    Raises ``items_invalid``, ``quote_unknown``, ``quote_used``, ``quote_expired``,
    ``payment_method_required``, ``payment_method_unknown`` and what holding numbers raises.
    """
    require((body.quote_id is None) != (body.items is None), "items_invalid", param="items")
    if body.quote_id is not None:
        quote = _usable(body.quote_id, repeated=repeated)
        _check_cards(body.payment_method_id, free=_free(quote))
        return _order(body, body.quote_id)
    _check_cards(body.payment_method_id, free=False)
    # A hold first: what cannot be had is refused before there is an order. Its id derives from the
    # request's key, so a repetition finds the same hold.
    held = order("inventory", "hold_numbers", items=items, strategy=body.strategy)
    return _order(body, held["id"])


def _order(body: OrderBody, quote_id: str) -> dict[str, Any]:
    end_user = body.end_user.model_dump(exclude_none=True) if body.end_user else None
    placed: dict[str, Any] = order(
        "orders",
        "place_order",
        quote_id=quote_id,
        payment_method_id=body.payment_method_id,
        strategy=body.strategy,
        end_user=end_user,
        usage=body.usage,
        document_ids=body.document_ids,
    )
    return placed


def _usable(quote_id: str, *, repeated: bool) -> dict[str, Any]:
    quote: dict[str, Any] = ask("inventory", "get_hold", hold_id=quote_id)
    if repeated and quote["order_id"] is not None:
        return quote  # Perhaps by the first try of this very request: its order is the answer.
    require(quote["order_id"] is None and quote["status"] != "pinned", "quote_used")
    require(quote["status"] == "open", "quote_expired")
    return quote


def _free(quote: dict[str, Any]) -> bool:
    return float(quote["due_now"]["amount"]) == 0


def _check_cards(wanted: str | None, *, free: bool) -> None:
    if wanted is None and free:
        return
    cards = {card["id"] for card in ask("billing", "list_payment_methods")}
    if wanted is not None:
        require(wanted in cards, "payment_method_unknown", param="payment_method_id")
    else:
        require(cards, "payment_method_required")

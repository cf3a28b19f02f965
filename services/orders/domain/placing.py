"""The rules of placing an order: what may be wished for, and how."""

from __future__ import annotations

from collections.abc import Sequence

from services.inventory.messages import Item
from services.orders.domain.order_state import FREE, NEW, PURCHASE, Order
from services.orders.messages import OrderPlaced, PlaceOrder
from shared.refusals import refusal

MOST_PER_ITEM = 10
STRATEGIES = ("all_or_nothing", "best_effort")
USAGES = ("business", "personal")
_KINDS = (PURCHASE, FREE)


def place(command: PlaceOrder, state: Order) -> Sequence[OrderPlaced]:
    """Places the order, once. Raises ``items_invalid``, ``quantity_invalid``, ``invalid_value``."""
    if state.status != NEW:
        return []
    by_quote = command.hold_id != command.order_id
    if by_quote == bool(command.items):
        raise refusal("items_invalid", param="items")
    _check_items(command.items, command.kind)
    _check_one_of(command.kind, _KINDS, "kind")
    _check_one_of(command.strategy, STRATEGIES, "strategy")
    if command.usage is not None:
        _check_one_of(command.usage, USAGES, "usage")
    return [_placed(command)]


def _check_items(items: tuple[Item, ...], kind: str) -> None:
    for item in items:
        _check_item(item, kind)
    numbers = [item.number for item in items if item.number is not None]
    if len(set(numbers)) < len(numbers):
        raise refusal("items_invalid", "A number is named twice.", param="items")


def _check_item(item: Item, kind: str) -> None:
    wishes = [w for w in (item.offer_id, item.number, item.free_in) if w is not None]
    if len(wishes) != 1 or (item.free_in is not None) != (kind == FREE):
        detail = "An item names an offer_id or a number, and not both."
        raise refusal("items_invalid", detail, param="items")
    most = MOST_PER_ITEM if item.offer_id is not None else 1
    if not 1 <= item.quantity <= most:
        raise refusal("quantity_invalid", f"This quantity is from 1 to {most}.", param="items")


def _check_one_of(found: str, allowed: tuple[str, ...], param: str) -> None:
    if found not in allowed:
        detail = f"{param} is one of {', '.join(allowed)}."
        raise refusal("invalid_value", detail, param=param)


def _placed(c: PlaceOrder) -> OrderPlaced:
    return OrderPlaced(
        order_id=c.order_id,
        account_id=c.account_id,
        kind=c.kind,
        hold_id=c.hold_id,
        items=c.items,
        strategy=c.strategy,
        payment_method_id=c.payment_method_id,
        usage=c.usage,
        end_user=c.end_user,
        document_ids=c.document_ids,
    )

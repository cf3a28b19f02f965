"""Reading what comes in by RPC: items, amounts, the end user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.inventory.messages import Item
from shared.money import Money, parse_micros, require_currency
from shared.phone import parse_e164
from shared.refusals import refusal

_ITEM_FIELDS = {"offer_id", "number", "quantity"}


def items_from(data: Sequence[dict[str, Any]] | None) -> tuple[Item, ...]:
    """Items of a request. Raises ``items_invalid``, ``unknown_field``, ``quantity_invalid``,
    ``number_invalid``; how many of what is the order's own rule."""
    return tuple(_item(one) for one in data or ())


def _item(one: dict[str, Any]) -> Item:
    if unknown := sorted(set(one) - _ITEM_FIELDS):
        raise refusal("unknown_field", f"An item has no {unknown[0]}.", param="items")
    quantity = one.get("quantity", 1)
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        raise refusal("quantity_invalid", param="items")
    number = one.get("number")
    e164 = None if number is None else parse_e164(str(number), None, "items")
    return Item(offer_id=one.get("offer_id"), quantity=quantity, number=e164)


def end_user_from(data: dict[str, Any] | None) -> str | None:
    """The end user as JSON text. Its fields are compliance's matter."""
    return None if data is None else json.dumps(data, ensure_ascii=False, sort_keys=True)


def money_from(data: dict[str, str] | None) -> Money | None:
    """``{"amount": "1.26", "currency": "USD"}``. Raises ``invalid_value``."""
    if data is None:
        return None
    currency = require_currency(str(data.get("currency", "")))
    return Money(parse_micros(str(data.get("amount", ""))), currency)

"""A quote is a priced hold: how a hold is asked for and shown across RPC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.inventory.domain.hold_state import (
    ALLOCATED,
    ASKED,
    ENDED,
    NEW,
    PINNED,
    WAITING,
    Hold,
)
from services.inventory.messages import Item, Missing
from shared import phone
from shared.application import Done
from shared.money import Money
from shared.refusals import refusal
from shared.rpc import CallContext

STRATEGIES = ("all_or_nothing", "best_effort")
_STATUS = {ASKED: "open", WAITING: "open", PINNED: "pinned", ALLOCATED: "pinned"}


def items_from(data: list[dict[str, Any]]) -> tuple[Item, ...]:
    """Items of a request. Raises ``items_invalid``, ``quantity_invalid``, ``number_invalid``."""
    if not data:
        raise refusal("items_invalid", "There is nothing to hold.", param="items")
    return tuple(_item(one) for one in data)


def _item(one: dict[str, Any]) -> Item:
    offer_id, number = one.get("offer_id"), one.get("number")
    if (offer_id is None) == (number is None):
        raise refusal("items_invalid", "An item names an offer_id or a number.", param="items")
    if number is not None:
        return Item(number=phone.parse_e164(number, None, "items"))
    return Item(offer_id=offer_id, quantity=_quantity(one.get("quantity", 1)))


def _quantity(found: Any) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise refusal("quantity_invalid", param="items")
    return found


def strategy_from(text: str) -> str:
    """``all_or_nothing`` or ``best_effort``."""
    if text not in STRATEGIES:
        detail = f"strategy is one of {', '.join(STRATEGIES)}."
        raise refusal("invalid_value", detail, param="strategy")
    return text


def check_owner(ctx: CallContext, state: Hold) -> None:
    """Another account's quote is unknown."""
    if state.status == NEW or state.account_id != ctx.account_id:
        raise refusal("quote_unknown")


def answer(hold_id: str, done: Done) -> dict[str, Any]:
    """The quote that was asked for. Raises what is missing, if nothing is held because of it, and
    ``quote_expired`` where the hold ended before it had anything."""
    state: Hold = done.state
    if state.status == ENDED and state.ended_because == "refused":
        raise refusal(state.missing[0].code if state.missing else "number_gone", param="items")
    if state.status == ENDED and not state.lines:
        raise refusal("quote_expired", "The hold ended while it was being filled.")
    return quote(hold_id, state, done.position, None)


def quote(hold_id: str, state: Hold, position: int, now: datetime | None) -> dict[str, Any]:
    """The quote as RPC shows it; amounts are for all its numbers. ``due_now`` is the first month in
    full and the set-up."""
    currency = state.lines[0].terms.currency if state.lines else "USD"
    setup = sum(line.terms.setup_fee * len(line.numbers) for line in state.lines)
    monthly = sum(line.terms.monthly_fee * len(line.numbers) for line in state.lines)
    return {
        "id": hold_id,
        "status": _status(state, now),
        "lines": [line.as_json() for line in state.lines],
        "numbers": list(state.numbers),
        "missing": [_missing_row(m) for m in state.missing],
        "setup_total": Money(setup, currency).as_json(),
        "monthly_total": Money(monthly, currency).as_json(),
        "due_now": Money(setup + monthly, currency).as_json(),
        "expires_at": state.until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "order_id": state.order_id,
        "position": position,
    }


def _status(state: Hold, now: datetime | None) -> str:
    if state.status == ENDED:
        return "expired" if state.ended_because == "expired" else "released"
    over = now is not None and state.order_id is None and now >= state.until
    return "expired" if over else _STATUS.get(state.status, "open")


def _missing_row(m: Missing) -> dict[str, Any]:
    item = {"number": m.item.number} if m.item.number else {"offer_id": m.item.offer_id}
    return item | {"quantity": m.quantity, "code": m.code}

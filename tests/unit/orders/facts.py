"""One order of two numbers in New York and one in Toronto, told in events: what the tests share."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from services.billing import messages as billing
from services.inventory.messages import (
    AllocatedNumber,
    HeldLine,
    HoldAllocated,
    HoldPinned,
    Item,
    Place,
    Terms,
)
from services.orders.messages import (
    OrderActionRequired,
    OrderChargeUnknown,
    OrderFailed,
    OrderFulfilled,
    OrderPaid,
    OrderPlaced,
    OrderReserved,
    PlaceOrder,
    RefundRequested,
)
from shared.codec import Codec, Meta, encode_meta
from shared.eventlog import Recorded
from shared.happened import Happened
from shared.messages import event_type
from shared.money import Money

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SOON = AT + timedelta(minutes=15)
ACCOUNT, ORDER, QUOTE, CHARGE, CARD = "acct_1", "ord_1", "qt_1", "chg_1", "pm_1"

NYC = Place(country="US", region="NY", city="New York", area_code="212", type="geographic")
TORONTO = Place(country="CA", region="ON", city="Toronto", area_code="416", type="geographic")


def terms(setup: int, monthly: int, currency: str = "USD", *, sms: bool = True) -> Terms:
    """Fees in micros; the rest as most stock has it."""
    return Terms(
        currency=currency,
        setup_fee=setup,
        monthly_fee=monthly,
        per_minute=10_000,
        connect_fee=0,
        min_period_months=1,
        billing_increments="60/1",
        sms=sms,
    )


NY_1, NY_2, TO_1 = "+12125550101", "+12125550102", "+14165550103"
NY_LINE = HeldLine(
    offer_id="off_ny", place=NYC, terms=terms(500_000, 1_260_000), numbers=(NY_1, NY_2)
)
TO_LINE = HeldLine(
    offer_id="off_to", place=TORONTO, terms=terms(0, 990_000, sms=False), numbers=(TO_1,)
)
LINES = (NY_LINE, TO_LINE)
NY_COST = Money(1_760_000, "USD")
TOTAL = Money(2 * 1_760_000 + 990_000, "USD")
FREE_LINE = HeldLine(offer_id="off_free", place=NYC, terms=terms(0, 0), numbers=(NY_1,))
NOTHING = Money(0, "USD")

NUMBERS = tuple(
    AllocatedNumber(number=n, num_id=f"num_{k}") for k, n in enumerate((NY_1, NY_2, TO_1), 1)
)


def place_order(**changed: Any) -> PlaceOrder:
    """The command that placed the order, or nearly so."""
    fields: dict[str, Any] = {
        "order_id": ORDER,
        "account_id": ACCOUNT,
        "kind": "purchase",
        "hold_id": QUOTE,
        "items": (),
        "strategy": "all_or_nothing",
        "payment_method_id": CARD,
        "usage": None,
        "end_user": None,
        "document_ids": (),
    }
    return PlaceOrder(**(fields | changed))


def order_placed(**changed: Any) -> OrderPlaced:
    """What ``place_order`` leads to."""
    c = place_order(**changed)
    return OrderPlaced(**{name: getattr(c, name) for name in c.__dataclass_fields__})


def items_order(*items: Item, **changed: Any) -> PlaceOrder:
    """An order on items: the hold has the order's id."""
    return place_order(hold_id=ORDER, items=items, **changed)


PLACED = order_placed()
FREE_PLACED = order_placed(
    kind="free", hold_id=ORDER, items=(Item(free_in="US"),), payment_method_id=None
)
RESERVED = OrderReserved(
    order_id=ORDER,
    account_id=ACCOUNT,
    hold_id=QUOTE,
    lines=LINES,
    missing=(),
    amount=TOTAL,
    payment_method_id=CARD,
)
ACTION_REQUIRED = OrderActionRequired(
    order_id=ORDER, account_id=ACCOUNT, charge_id=CHARGE, expires_at=SOON
)
CHARGE_UNKNOWN = OrderChargeUnknown(order_id=ORDER, account_id=ACCOUNT, charge_id=CHARGE)
PAID = OrderPaid(order_id=ORDER, account_id=ACCOUNT, hold_id=QUOTE, charge_id=CHARGE, amount=TOTAL)
FULFILLED = OrderFulfilled(order_id=ORDER, account_id=ACCOUNT, numbers=NUMBERS, refused=())
FAILED = OrderFailed(
    order_id=ORDER,
    account_id=ACCOUNT,
    hold_id=QUOTE,
    code="card_declined",
    detail="The card was declined.",
)
CHARGED = (PLACED, RESERVED, PAID)
DONE = (*CHARGED, FULFILLED)


def refund_requested(
    refund_id: str = "ref_1",
    amount: Money = NY_COST,
    numbers: tuple[str, ...] = (),
    reason: str = "",
) -> RefundRequested:
    """Money of the charge is to go back."""
    return RefundRequested(
        order_id=ORDER,
        account_id=ACCOUNT,
        refund_id=refund_id,
        charge_id=CHARGE,
        amount=amount,
        numbers=numbers,
        reason=reason,
    )


PINNED = HoldPinned(hold_id=QUOTE, account_id=ACCOUNT, order_id=ORDER, lines=LINES, missing=())
ALLOCATED = HoldAllocated(
    hold_id=QUOTE, account_id=ACCOUNT, order_id=ORDER, numbers=NUMBERS, refused=()
)
CHARGE_REQUESTED = billing.ChargeRequested(
    charge_id=CHARGE,
    account_id=ACCOUNT,
    order_id=ORDER,
    amount=TOTAL,
    payment_method_id=CARD,
    provider_customer="cus_1",
    provider_method="pm_card_visa",
)
CHARGE_SUCCEEDED = billing.ChargeSucceeded(
    charge_id=CHARGE,
    account_id=ACCOUNT,
    order_id=ORDER,
    amount=TOTAL,
    provider_id="pi_1",
    receipt_url="",
)
CHARGE_FAILED = billing.ChargeFailed(
    charge_id=CHARGE,
    account_id=ACCOUNT,
    order_id=ORDER,
    code="card_declined",
    detail="The card was declined.",
)


class _NoKeys:
    """Nobody has a key: sealed fields read as erased."""

    def key(self, _subject: str) -> bytes | None:
        return None

    def make_key(self, _subject: str) -> bytes | None:
        return None


def happened(message: Any, *, at: datetime = AT, event_id: bytes = b"\x07" * 16) -> Happened:
    """An event on its way to a policy, without a log. Its sealed fields are erased."""
    codec, kind = Codec(_NoKeys()), event_type(type(message))
    meta = Meta(command_id=uuid.UUID(int=1), correlation_id="req_1", actor="test", occurred_at=at)
    stored = Recorded(
        position=1,
        event_id=event_id,
        stream="any-1",
        version=1,
        category="any",
        account_id=ACCOUNT,
        type=kind.name,
        schema_version=kind.version,
        payload=codec.encode(message, event_id),
        metadata=encode_meta(meta),
        recorded_at=0,
        digest=b"",
    )
    return Happened(stored, codec)

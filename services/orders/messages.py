"""What orders is told and what it tells: orders, and the numbers' tenures that come of them.

The stored form of the events is for ever (``tests/contract/golden/messages.json``).
"""

from __future__ import annotations

from datetime import datetime

from services.inventory.messages import AllocatedNumber, HeldLine, Item, Missing, Place, Terms
from shared.messages import Sealed, command, event
from shared.money import Money

SERVICE = "orders"


@event("OrderPlaced", sealed_under="account_id")
class OrderPlaced:
    """An account wants numbers: those of a quote (``hold_id``), or ``items``. ``kind``: purchase or
    free. ``end_user`` is JSON text of the person or company that will use the numbers."""

    order_id: str
    account_id: str
    kind: str
    hold_id: str
    items: tuple[Item, ...]
    strategy: str
    payment_method_id: str | None
    usage: str | None
    end_user: Sealed[str] | None
    document_ids: tuple[str, ...]


@event("OrderReserved")
class OrderReserved:
    """The numbers are pinned and priced; ``amount`` is to be charged."""

    order_id: str
    account_id: str
    hold_id: str
    lines: tuple[HeldLine, ...]
    missing: tuple[Missing, ...]
    amount: Money
    payment_method_id: str | None


@event("OrderActionRequired")
class OrderActionRequired:
    """The bank wants the customer to confirm (3-D Secure) until ``expires_at``."""

    order_id: str
    account_id: str
    charge_id: str
    expires_at: datetime


@event("OrderConfirmationReported")
class OrderConfirmationReported:
    """The customer says the bank's step is done; billing looks at the charge."""

    order_id: str
    account_id: str
    charge_id: str


@event("OrderChargeUnknown")
class OrderChargeUnknown:
    """It is not known whether the charge went through; it is being looked up."""

    order_id: str
    account_id: str
    charge_id: str


@event("OrderPaid")
class OrderPaid:
    """The amount is paid, or there is none to pay, or it is so small that it stays owed."""

    order_id: str
    account_id: str
    hold_id: str
    charge_id: str | None
    amount: Money


@event("OrderFulfilled")
class OrderFulfilled:
    """The numbers are the customer's. Those ``refused`` are refunded."""

    order_id: str
    account_id: str
    numbers: tuple[AllocatedNumber, ...]
    refused: tuple[str, ...]


@event("OrderFailed")
class OrderFailed:
    """The order ended without numbers; the hold goes back, nothing stays charged."""

    order_id: str
    account_id: str
    hold_id: str
    code: str
    detail: str


@event("OrderNeedsOperator")
class OrderNeedsOperator:
    """The order waits too long for an answer; a person has to look."""

    order_id: str
    account_id: str
    reason: str


@event("OrderChargeCheckRequested", sealed_under="account_id")
class OrderChargeCheckRequested:
    """Staff wants to know how the charge stands; billing asks the provider."""

    order_id: str
    account_id: str
    reason: Sealed[str]


@event("OrderGivenUp", sealed_under="account_id")
class OrderGivenUp:
    """Staff ends an order that waited too long; ``OrderFailed`` follows."""

    order_id: str
    account_id: str
    reason: Sealed[str]


@event("RefundRequested")
class RefundRequested:
    """Money of a charge is to be returned: for ``numbers``, or as goodwill if there are none."""

    order_id: str
    account_id: str
    refund_id: str
    charge_id: str
    amount: Money
    numbers: tuple[str, ...]
    reason: str


@event("OrderRefunded")
class OrderRefunded:
    """The money of one refund is on its way back."""

    order_id: str
    account_id: str
    refund_id: str
    amount: Money


@event("OrderRefundFailed")
class OrderRefundFailed:
    """The provider refuses one refund: its money stays charged and can be asked back again."""

    order_id: str
    account_id: str
    refund_id: str
    code: str
    detail: str


@command
class PlaceOrder:
    """Places an order on a quote (``hold_id`` is the quote), or on ``items`` (it is the order's
    own id)."""

    order_id: str
    account_id: str
    kind: str
    hold_id: str
    items: tuple[Item, ...]
    strategy: str
    payment_method_id: str | None
    usage: str | None
    end_user: str | None
    document_ids: tuple[str, ...]


@command
class ReserveOrder:
    """Prices the order with what inventory pinned."""

    order_id: str
    lines: tuple[HeldLine, ...]
    missing: tuple[Missing, ...]


@command
class RequireAction:
    """The charge waits for the customer."""

    order_id: str
    charge_id: str
    expires_at: datetime


@command
class ReportConfirmation:
    """The customer came back from the bank's step."""

    order_id: str
    account_id: str


@command
class RecordChargeUnknown:
    """The charge's outcome is not known yet."""

    order_id: str
    charge_id: str


@command
class RecordPaid:
    """The charge went through, or stays owed. On an order that has failed meanwhile, it goes
    back."""

    order_id: str
    charge_id: str
    amount: Money
    refund_id: str


@command
class FailOrder:
    """Ends the order without numbers."""

    order_id: str
    code: str
    detail: str


@command
class FulfilOrder:
    """Ends the order with its numbers. ``refund_id`` names the refund of those refused."""

    order_id: str
    numbers: tuple[AllocatedNumber, ...]
    refused: tuple[str, ...]
    refund_id: str


@command
class ExpireAction:
    """Fails an order that still waits for the customer at ``now``."""

    order_id: str
    now: datetime


@command
class GiveToOperator:
    """Marks an order that still waits for an answer: ``waited_for`` is answer or charge."""

    order_id: str
    waited_for: str


@command
class RequestChargeCheck:
    """Staff has the charge of an order looked up again."""

    order_id: str
    reason: str


@command
class GiveUpOrder:
    """Staff ends an order that waits for a person."""

    order_id: str
    reason: str


@command
class RequestRefund:
    """Staff returns money: an amount, or what the named numbers cost, or all that is left."""

    order_id: str
    refund_id: str
    amount: Money | None
    numbers: tuple[str, ...]
    reason: str


@command
class RecordRefunded:
    """A refund was carried out."""

    order_id: str
    refund_id: str
    amount: Money


@command
class RecordRefundFailed:
    """A refund was refused by the provider."""

    order_id: str
    refund_id: str
    code: str
    detail: str


# ── Tenures: one account's time with one number ───────────────────────────────────────────────────


@event("NumberPurchased")
class NumberPurchased:
    """A tenure begins. It carries the terms agreed, so that no later price change touches them.
    ``origin``: purchased, free or ported."""

    num_id: str
    number: str
    account_id: str
    order_id: str
    offer_id: str
    place: Place
    terms: Terms
    origin: str


@event("NumberDescribed")
class NumberDescribed:
    """What the customer notes about the number."""

    num_id: str
    number: str
    account_id: str
    description: str


@command
class BeginTenure:
    """Writes down that a number is an account's."""

    num_id: str
    number: str
    account_id: str
    order_id: str
    offer_id: str
    place: Place
    terms: Terms
    origin: str


@command
class DescribeNumber:
    """Changes the customer's note. ``if_version``: refused as stale at any other version."""

    num_id: str
    account_id: str
    description: str
    if_version: int | None = None


# ── Work that needs more than one stream (``fulfilling.py``) ──────────────────────────────────────


@command
class CompleteOrder:
    """Begins the tenures of what inventory allocated to the order, then fulfils it."""

    order_id: str
    numbers: tuple[AllocatedNumber, ...]
    refused: tuple[str, ...]

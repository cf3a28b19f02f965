"""What billing is told and what it tells: accounts, cards, charges and refunds.

The stored form of the events is for ever (``tests/contract/golden/messages.json``). No card number
ever reaches us: a card is the provider's id, its brand and its last four digits.
"""

from __future__ import annotations

from datetime import datetime

from shared.messages import Sealed, command, event
from shared.money import Money

SERVICE = "billing"


@event("AccountOpened", sealed_under="account_id")
class AccountOpened:
    """A customer's account. Country ISO 3166, time zone IANA, currency ISO 4217."""

    account_id: str
    name: Sealed[str]
    email: Sealed[str]
    country: str
    time_zone: str
    currency: str


@event("PaymentMethodAdded")
class PaymentMethodAdded:
    """A card can be charged. The first one added is the default."""

    account_id: str
    payment_method_id: str
    provider_id: str
    provider_customer: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    default: bool


@event("DefaultPaymentMethodChanged")
class DefaultPaymentMethodChanged:
    """Another card is charged unless one is named."""

    account_id: str
    payment_method_id: str


@event("PaymentMethodRemoved")
class PaymentMethodRemoved:
    """A card is not charged any more. ``new_default`` takes its place, if one is left."""

    account_id: str
    payment_method_id: str
    new_default: str | None


@command
class OpenAccount:
    """Opens an account."""

    account_id: str
    name: str
    email: str
    country: str
    time_zone: str
    currency: str


@command
class AddPaymentMethod:
    """Adds a card that the provider has accepted."""

    account_id: str
    payment_method_id: str
    provider_id: str
    provider_customer: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@command
class ChangeDefaultPaymentMethod:
    """Names the card that is charged unless one is named."""

    account_id: str
    payment_method_id: str


@command
class RemovePaymentMethod:
    """Takes a card away."""

    account_id: str
    payment_method_id: str


# ── Charges: requested → succeeded | failed | action required | unknown ───────────────────────────


@event("ChargeRequested")
class ChargeRequested:
    """Money is to be taken from a card, once. An order's charge id derives from the order."""

    charge_id: str
    account_id: str
    order_id: str
    amount: Money
    payment_method_id: str
    provider_customer: str
    provider_method: str


@event("ChargeSucceeded")
class ChargeSucceeded:
    """The money was taken. ``provider_id`` is the provider's payment."""

    charge_id: str
    account_id: str
    order_id: str
    amount: Money
    provider_id: str
    receipt_url: str


@event("ChargeFailed")
class ChargeFailed:
    """No money was taken, and none will be."""

    charge_id: str
    account_id: str
    order_id: str
    code: str
    detail: str


@event("ChargeActionRequired", sealed_under="account_id")
class ChargeActionRequired:
    """The bank wants the customer to confirm. The secret lets the customer's browser do that."""

    charge_id: str
    account_id: str
    order_id: str
    provider_id: str
    client_secret: Sealed[str]


@event("ChargeUnknown")
class ChargeUnknown:
    """The provider did not say whether it took the money. It is being looked up."""

    charge_id: str
    account_id: str
    order_id: str


@event("ChargeCheckRequested")
class ChargeCheckRequested:
    """The provider is to be asked how the charge stands. ``give_up``: cancel it if it waits."""

    charge_id: str
    account_id: str
    order_id: str
    give_up: bool


@event("ChargeRefundRequested")
class ChargeRefundRequested:
    """Money of this charge is to be returned."""

    charge_id: str
    account_id: str
    order_id: str
    refund_id: str
    amount: Money
    provider_id: str


@event("ChargeRefunded")
class ChargeRefunded:
    """The money of one refund was returned."""

    charge_id: str
    account_id: str
    order_id: str
    refund_id: str
    amount: Money
    provider_refund: str


@event("ChargeRefundFailed")
class ChargeRefundFailed:
    """The provider refuses the refund; an operator has to look."""

    charge_id: str
    account_id: str
    order_id: str
    refund_id: str
    code: str
    detail: str


@command
class RequestCharge:
    """Takes an order's money. Card and customer are as read from the account; without a card the
    charge fails."""

    charge_id: str
    account_id: str
    order_id: str
    amount: Money
    payment_method_id: str | None
    provider_customer: str
    provider_method: str


@command
class RecordChargeSucceeded:
    """The provider says: taken."""

    charge_id: str
    provider_id: str
    receipt_url: str


@command
class RecordChargeFailed:
    """The provider says: refused."""

    charge_id: str
    code: str
    detail: str


@command
class RecordActionRequired:
    """The provider says: the customer has to confirm."""

    charge_id: str
    provider_id: str
    client_secret: str


@command
class RecordChargeUnknown:
    """The provider did not answer."""

    charge_id: str


@command
class CheckCharge:
    """Asks the provider how the charge stands; with ``give_up`` cancels one that still waits."""

    charge_id: str
    give_up: bool


@command
class RefundCharge:
    """Returns money of a charge."""

    charge_id: str
    refund_id: str
    amount: Money


@command
class RecordRefunded:
    """The provider says: returned. ``refund_id`` is ours, or derived from theirs for a refund made
    at the provider."""

    charge_id: str
    refund_id: str
    amount: Money
    provider_refund: str


@command
class RecordRefundFailed:
    """The provider refuses a refund."""

    charge_id: str
    refund_id: str
    code: str
    detail: str


# ── Work that needs more than one stream (``charging.py``) ────────────────────────────────────────


@command
class ChargeOrder:
    """Finds the card of the account and requests the charge of an order."""

    order_id: str
    account_id: str
    amount: Money
    payment_method_id: str | None


@command
class SettleReport:
    """A report of the provider (webhook) about one payment: is looked up in its charge."""

    charge_id: str
    kind: str
    provider_id: str
    detail: str
    reported_at: datetime

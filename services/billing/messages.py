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
    """Money is to be taken from a card, once. An order's charge id derives from the order; the
    ``order_id`` of a payment of what is owed is empty, here and in what follows."""

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


# ── Less than the provider takes at once: owed → being paid → settled ─────────────────────────────


@event("ChargeDeferred")
class ChargeDeferred:
    """An order's amount is below what the provider takes at once. It stays owed, exactly as it is;
    the order goes on as if it were paid."""

    charge_id: str
    account_id: str
    order_id: str
    amount: Money


@event("OwedPaymentRequested")
class OwedPaymentRequested:
    """What is owed is to be paid at once: these deferred charges. ``amount`` is their sum as it was
    seen; what is charged is what the payment can claim of them. It is a charge without an order."""

    charge_id: str
    account_id: str
    amount: Money
    charges: tuple[str, ...]
    payment_method_id: str | None


@event("DeferredChargeClaimed")
class DeferredChargeClaimed:
    """A payment (the charge ``payment_id``) takes this on; no other can meanwhile."""

    charge_id: str
    account_id: str
    order_id: str
    payment_id: str
    amount: Money


@event("DeferredChargeReleased")
class DeferredChargeReleased:
    """The payment failed: it is owed again."""

    charge_id: str
    account_id: str
    order_id: str
    payment_id: str


@event("DeferredChargeSettled")
class DeferredChargeSettled:
    """The payment took the money. ``provider_id`` is the provider's payment, for refunds."""

    charge_id: str
    account_id: str
    order_id: str
    payment_id: str
    amount: Money
    provider_id: str


@command
class PayOwed:
    """Pays deferred charges together."""

    charge_id: str
    account_id: str
    amount: Money
    charges: tuple[str, ...]
    payment_method_id: str | None


@command
class ClaimDeferred:
    """Takes one deferred charge for a payment."""

    charge_id: str
    payment_id: str


@command
class ReleaseDeferred:
    """Gives it back: the payment failed."""

    charge_id: str
    payment_id: str


@command
class SettleDeferred:
    """The payment took its money."""

    charge_id: str
    payment_id: str
    provider_id: str


# ── Commands of charges ───────────────────────────────────────────────────────────────────────────


@command
class RequestCharge:
    """Takes the money of an order, or of what is owed (``order_id`` is empty). Card and customer
    are as read from the account; without a card the charge fails."""

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


@command
class CollectOwed:
    """Claims what a payment of what is owed wants to pay, and charges what it got."""

    charge_id: str


@command
class CloseOwedPayment:
    """Settles what a payment of what is owed has paid, or gives it back if it failed."""

    charge_id: str

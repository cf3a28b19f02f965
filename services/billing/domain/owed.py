"""What was too little to be charged: owed → being paid → settled, or owed again.

A payment of what is owed claims each charge in the charge's own stream, so that no two payments
take the same money. What a claim took counts also after it was given back: the provider's word that
money was taken may come after it said that the payment failed.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.billing.domain.charge_state import BEING_PAID, OWED, SETTLED, Charge, Event
from services.billing.messages import (
    ChargeRefunded,
    ChargeRefundRequested,
    ClaimDeferred,
    DeferredChargeClaimed,
    DeferredChargeReleased,
    DeferredChargeSettled,
    OwedPaymentRequested,
    PayOwed,
    ReleaseDeferred,
    SettleDeferred,
)
from shared.money import Money


def pay(command: PayOwed, charge: Charge) -> Sequence[Event]:
    """Begins a payment, once. What it takes in the end is what its claims get."""
    if charge.status:
        return []
    return [
        OwedPaymentRequested(
            charge_id=command.charge_id,
            account_id=command.account_id,
            amount=command.amount,
            charges=command.charges,
            payment_method_id=command.payment_method_id,
        )
    ]


def claim(command: ClaimDeferred, charge: Charge) -> Sequence[Event]:
    """Takes what is still owed for one payment; nothing if another has it, or nothing is left."""
    if charge.status != OWED or charge.left.micros <= 0:
        return []
    return [DeferredChargeClaimed(**charge.ids, payment_id=command.payment_id, amount=charge.left)]


def release(command: ReleaseDeferred, charge: Charge) -> Sequence[Event]:
    """The payment failed: it is owed again. Refunds that were asked for meanwhile reduce it."""
    if charge.status != BEING_PAID or charge.claimed_by != command.payment_id:
        return []
    released = DeferredChargeReleased(**charge.ids, payment_id=command.payment_id)
    return [released, *(reduced(charge, n, amount) for n, amount in _waiting(charge))]


def settle(command: SettleDeferred, charge: Charge) -> Sequence[Event]:
    """The payment took its money: settled, once. Nothing if it is another payment's by now. Refunds
    that were asked for meanwhile can be made from now on."""
    claimed = charge.claims.get(command.payment_id)
    mine = charge.status == OWED or charge.claimed_by == command.payment_id
    if claimed is None or charge.status == SETTLED or not mine:
        return []
    # After a release a refund may have made it less than was claimed.
    amount = claimed if charge.status == BEING_PAID else min(claimed, charge.left, key=_micros)
    if amount.micros <= 0:
        return []
    settled = DeferredChargeSettled(
        **charge.ids,
        payment_id=command.payment_id,
        amount=amount,
        provider_id=command.provider_id,
    )
    waiting = _waiting(charge)
    return [settled, *(_asked(charge, n, money, command.provider_id) for n, money in waiting)]


def reduced(charge: Charge, refund_id: str, amount: Money) -> ChargeRefunded:
    """A refund of what was not paid yet: less is owed, and nobody has to be asked."""
    return ChargeRefunded(**charge.ids, refund_id=refund_id, amount=amount, provider_refund="")


def _asked(
    charge: Charge, refund_id: str, amount: Money, provider_id: str
) -> ChargeRefundRequested:
    return ChargeRefundRequested(
        **charge.ids, refund_id=refund_id, amount=amount, provider_id=provider_id
    )


def _waiting(charge: Charge) -> Sequence[tuple[str, Money]]:
    asked = [(n, r.amount) for n, r in charge.refunds.items() if r.status == "requested"]
    return asked if charge.status == BEING_PAID else []


def _micros(amount: Money) -> int:
    return amount.micros

"""Paying what is owed: claims what was deferred, charges the sum, settles it or gives it back.

Each function may be cut off and repeated at any point: what it orders has an id that derives from
the one it was ordered with, and each charge is claimed and settled in its own stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.billing.domain import account, charge
from services.billing.domain.account import Account
from services.billing.domain.charge_state import BEING_PAID, COLLECTING, SETTLED, Charge
from services.billing.messages import (
    ClaimDeferred,
    CloseOwedPayment,
    CollectOwed,
    RefundCharge,
    ReleaseDeferred,
    RequestCharge,
    SettleDeferred,
)
from shared.application import Order
from shared.errors import PbxError
from shared.ids import command_id, derived_id
from shared.money import Money
from shared.runtime import Runtime


def collect(runtime: Runtime, order: Order) -> None:
    """Claims what the payment wants to pay and charges what it got: what another payment has taken
    meanwhile is not among it."""
    wanted: CollectOwed = order.command
    payment = _charge(runtime, wanted.charge_id)
    if payment.status != COLLECTING:
        return

    def claim(charge_id: str) -> ClaimDeferred:
        return ClaimDeferred(charge_id=charge_id, payment_id=payment.charge_id)

    claimed = [
        found.claims[payment.charge_id]
        for found in _each(runtime, order, "claim", payment, claim)
        if found.status == BEING_PAID and found.claimed_by == payment.charge_id
    ]
    total = sum(claimed, Money(0, payment.amount.currency))
    runtime.application.execute(order.sibling(_request(runtime, payment, total), "charge"))


def _request(runtime: Runtime, payment: Charge, total: Money) -> RequestCharge:
    owner: Account = runtime.application.load(account.AGGREGATE, payment.account_id)
    card = owner.chargeable(payment.wanted_card)
    return RequestCharge(
        charge_id=payment.charge_id,
        account_id=payment.account_id,
        order_id="",
        amount=total,
        payment_method_id=card.payment_method_id if card else None,
        provider_customer=card.provider_customer if card else "",
        provider_method=card.provider_id if card else "",
    )


def close(runtime: Runtime, order: Order) -> None:
    """Settles what the payment paid, or gives it back. What it took and can't settle any more,
    because the word that it was taken came so late, goes back to the card."""
    ended: CloseOwedPayment = order.command
    payment = _charge(runtime, ended.charge_id)
    if payment.status == "failed":
        _release(runtime, order, payment)
    elif payment.status == "succeeded":
        _settle(runtime, order, payment)


def _release(runtime: Runtime, order: Order, payment: Charge) -> None:
    def released(charge_id: str) -> ReleaseDeferred:
        return ReleaseDeferred(charge_id=charge_id, payment_id=payment.charge_id)

    _each(runtime, order, "release", payment, released)


def _settle(runtime: Runtime, order: Order, payment: Charge) -> None:
    def settled(charge_id: str) -> SettleDeferred:
        return SettleDeferred(
            charge_id=charge_id, payment_id=payment.charge_id, provider_id=payment.provider_id
        )

    back = Money(0, payment.amount.currency)
    for found in _each(runtime, order, "settle", payment, settled):
        back += _not_settled(found, payment)
    if back.minor_units():
        refund_id = derived_id("ref", command_id("owed payment came late", payment.charge_id))
        refund = RefundCharge(charge_id=payment.charge_id, refund_id=refund_id, amount=back)
        runtime.application.execute(order.sibling(refund, "back"))


def _not_settled(found: Charge, payment: Charge) -> Money:
    """What the payment took for this charge and did not settle of it."""
    nothing = Money(0, payment.amount.currency)
    mine = found.status == SETTLED and found.claimed_by == payment.charge_id
    return found.claims.get(payment.charge_id, nothing) - (found.settled if mine else nothing)


def _each(
    runtime: Runtime, order: Order, part: str, payment: Charge, command: Callable[[str], Any]
) -> list[Charge]:
    orders = [order.sibling(command(n), part, n) for n in payment.covers]
    found: list[Charge] = []
    for outcome in runtime.application.execute_many(orders):
        if isinstance(outcome, PbxError):
            raise outcome
        found.append(outcome.state)
    return found


def _charge(runtime: Runtime, charge_id: str) -> Charge:
    found: Charge = runtime.application.load(charge.AGGREGATE, charge_id)
    return found

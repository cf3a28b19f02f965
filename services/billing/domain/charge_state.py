"""What the events of one charge add up to. Facts only; the rules are in ``charge.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from services.billing.messages import (
    ChargeActionRequired,
    ChargeCheckRequested,
    ChargeDeferred,
    ChargeFailed,
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeRefundRequested,
    ChargeRequested,
    ChargeSucceeded,
    ChargeUnknown,
    DeferredChargeClaimed,
    DeferredChargeReleased,
    DeferredChargeSettled,
    OwedPaymentRequested,
)
from shared.messages import Erased
from shared.money import Money

Event = (
    ChargeRequested
    | ChargeSucceeded
    | ChargeFailed
    | ChargeActionRequired
    | ChargeUnknown
    | ChargeCheckRequested
    | ChargeRefundRequested
    | ChargeRefunded
    | ChargeRefundFailed
    | ChargeDeferred
    | OwedPaymentRequested
    | DeferredChargeClaimed
    | DeferredChargeReleased
    | DeferredChargeSettled
)
_NO_MONEY = Money(0, "")
OPEN = frozenset({"requested", "unknown", "action_required"})
# A payment of what is owed, before it is charged; and what is owed.
COLLECTING = "collecting"
OWED, BEING_PAID, SETTLED = "owed", "being_paid", "settled"
_HAS_MONEY = frozenset({"succeeded", OWED, BEING_PAID, SETTLED})


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back. ``status``: requested, refunded or failed."""

    amount: Money
    status: str
    provider_refund: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """Where a charge stands. ``given_up``: nobody wants the money any more.

    ``covers``: the deferred charges that this one pays. Of a deferred one, ``claims`` is what each
    payment took on, ``claimed_by`` the payment that has it now, and ``settled`` what it paid.
    """

    charge_id: str = ""
    account_id: str = ""
    order_id: str = ""
    status: str = ""
    amount: Money = _NO_MONEY
    payment_method_id: str = ""
    provider_customer: str = ""
    provider_id: str = ""
    client_secret: str | Erased = ""
    given_up: bool = False
    refunds: Mapping[str, Refund] = field(default_factory=dict)
    wanted_card: str | None = None
    covers: tuple[str, ...] = ()
    claims: Mapping[str, Money] = field(default_factory=dict)
    claimed_by: str = ""
    settled: Money = _NO_MONEY

    @property
    def was_requested(self) -> bool:
        """Whether there ever was something to send to the provider."""
        return self.payment_method_id != ""

    @property
    def is_deferred(self) -> bool:
        """Whether it was too little for the provider, and is paid together with others."""
        return self.status in {OWED, BEING_PAID, SETTLED}

    @property
    def is_open(self) -> bool:
        """Whether it still waits for its outcome."""
        return self.status in OPEN

    @property
    def ids(self) -> dict[str, Any]:
        """The fields that each of its events begins with."""
        return {
            "charge_id": self.charge_id,
            "account_id": self.account_id,
            "order_id": self.order_id,
        }

    def refunded(self, *counting: str) -> Money:
        """What went back, counting refunds of these statuses."""
        amounts = (r.amount for r in self.refunds.values() if r.status in counting)
        return sum(amounts, Money(0, self.amount.currency))

    @property
    def left(self) -> Money:
        """What can still be refunded, or of a deferred one: what is owed. Refunds on their way are
        taken."""
        taken = self.amount if self.status in _HAS_MONEY else Money(0, self.amount.currency)
        return taken - self.refunded("requested", "refunded")


def evolve(charge: Charge, event: Event) -> Charge:
    """Folds a charge's events."""
    match event:
        case ChargeRequested():
            return _requested(charge, event)
        case ChargeSucceeded():
            return replace(charge, status="succeeded", provider_id=event.provider_id)
        case ChargeFailed():
            return replace(
                charge,
                charge_id=event.charge_id,
                account_id=event.account_id,
                order_id=event.order_id,
                status="failed",
            )
        case ChargeActionRequired():
            return replace(
                charge,
                status="action_required",
                provider_id=event.provider_id,
                client_secret=event.client_secret,
            )
        case ChargeUnknown():
            return replace(charge, status="unknown")
        case ChargeCheckRequested():
            return replace(charge, given_up=charge.given_up or event.give_up)
        case ChargeRefundRequested():
            return _with_refund(charge, event.refund_id, Refund(event.amount, "requested"))
        case ChargeRefunded():
            done = Refund(event.amount, "refunded", event.provider_refund)
            return _with_refund(charge, event.refund_id, done)
        case ChargeRefundFailed():
            amount = charge.refunds.get(event.refund_id, _NOTHING).amount
            return _with_refund(charge, event.refund_id, Refund(amount, "failed"))
        case _:
            return _evolve_owed(charge, event)


Owed = (
    ChargeDeferred
    | OwedPaymentRequested
    | DeferredChargeClaimed
    | DeferredChargeReleased
    | DeferredChargeSettled
)


def _evolve_owed(charge: Charge, event: Owed) -> Charge:
    match event:
        case ChargeDeferred():
            return _deferred(event)
        case OwedPaymentRequested():
            return _wanted(event)
        case DeferredChargeClaimed():
            claims = {**charge.claims, event.payment_id: event.amount}
            return replace(charge, status=BEING_PAID, claims=claims, claimed_by=event.payment_id)
        case DeferredChargeReleased():
            return replace(charge, status=OWED, claimed_by="")
        case DeferredChargeSettled():
            paid = replace(charge, status=SETTLED, settled=event.amount)
            return replace(paid, claimed_by=event.payment_id, provider_id=event.provider_id)
        case _:
            assert_never(event)


def _deferred(event: ChargeDeferred) -> Charge:
    return Charge(
        charge_id=event.charge_id,
        account_id=event.account_id,
        order_id=event.order_id,
        status=OWED,
        amount=event.amount,
    )


def _wanted(event: OwedPaymentRequested) -> Charge:
    return Charge(
        charge_id=event.charge_id,
        account_id=event.account_id,
        status=COLLECTING,
        amount=event.amount,
        wanted_card=event.payment_method_id,
        covers=event.charges,
    )


_NOTHING = Refund(_NO_MONEY, "failed")


def _requested(charge: Charge, event: ChargeRequested) -> Charge:
    return replace(
        charge,
        charge_id=event.charge_id,
        account_id=event.account_id,
        order_id=event.order_id,
        status="requested",
        amount=event.amount,
        payment_method_id=event.payment_method_id,
        provider_customer=event.provider_customer,
    )


def _with_refund(charge: Charge, refund_id: str, refund: Refund) -> Charge:
    return replace(charge, refunds={**charge.refunds, refund_id: refund})

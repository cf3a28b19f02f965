"""What the events of one charge add up to. Facts only; the rules are in ``charge.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from services.billing.messages import (
    ChargeActionRequired,
    ChargeCheckRequested,
    ChargeFailed,
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeRefundRequested,
    ChargeRequested,
    ChargeSucceeded,
    ChargeUnknown,
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
)
_NO_MONEY = Money(0, "")
OPEN = frozenset({"requested", "unknown", "action_required"})


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back. ``status``: requested, refunded or failed."""

    amount: Money
    status: str
    provider_refund: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """Where a charge stands. ``given_up``: nobody wants the money any more."""

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

    @property
    def was_requested(self) -> bool:
        """Whether there ever was something to send to the provider."""
        return self.payment_method_id != ""

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
        """What can still be refunded: refunds on their way are taken."""
        taken = self.amount if self.status == "succeeded" else Money(0, self.amount.currency)
        return taken - self.refunded("requested", "refunded")


def evolve(charge: Charge, event: Event) -> Charge:
    """Folds a charge's events."""
    match event:
        case ChargeRequested():
            return _requested(event)
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
            assert_never(event)


_NOTHING = Refund(_NO_MONEY, "failed")


def _requested(event: ChargeRequested) -> Charge:
    return Charge(
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

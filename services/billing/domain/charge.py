"""A charge: requested → succeeded | failed | action required | unknown. Its refunds are in
``refunds.py``; what is too little to be charged is in ``owed.py``.

The provider's word that money was taken beats everything said before, because it is a fact; that
is the only way out of ``failed``. Whoever wanted the charge then sends the money back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from services.billing.domain import owed, refunds
from services.billing.domain.charge_state import COLLECTING, Charge, Event, evolve
from services.billing.domain.minimum import missing
from services.billing.domain.refunds import require_requested
from services.billing.messages import (
    ChargeActionRequired,
    ChargeCheckRequested,
    ChargeDeferred,
    ChargeFailed,
    ChargeRequested,
    ChargeSucceeded,
    ChargeUnknown,
    CheckCharge,
    ClaimDeferred,
    PayOwed,
    RecordActionRequired,
    RecordChargeFailed,
    RecordChargeSucceeded,
    RecordChargeUnknown,
    RecordRefunded,
    RecordRefundFailed,
    RefundCharge,
    ReleaseDeferred,
    RequestCharge,
    SettleDeferred,
    SettleReport,
)
from shared.aggregate import Aggregate

Command = (
    RequestCharge
    | RecordChargeSucceeded
    | RecordChargeFailed
    | RecordActionRequired
    | RecordChargeUnknown
    | CheckCharge
    | RefundCharge
    | RecordRefunded
    | RecordRefundFailed
    | PayOwed
    | ClaimDeferred
    | ReleaseDeferred
    | SettleDeferred
)


def request(command: RequestCharge, charge: Charge) -> Sequence[Event]:
    """Requests once, rounded to what the provider can take: whole minor units, half up.
    Without a card it fails at once, and nothing is sent. What is below the provider's minimum stays
    owed; a payment of what is owed fails for it."""
    if charge.status not in {"", COLLECTING}:
        return []
    if command.payment_method_id is None:
        detail = "The account has no such card to charge."
        return [_not_requested(command, "payment_method_required", detail)]
    if missing(command.amount).micros:
        return [_too_little(command, charge)]
    return [
        ChargeRequested(
            charge_id=command.charge_id,
            account_id=command.account_id,
            order_id=command.order_id,
            amount=command.amount.rounded(),
            payment_method_id=command.payment_method_id,
            provider_customer=command.provider_customer,
            provider_method=command.provider_method,
        )
    ]


def _not_requested(command: RequestCharge, code: str, detail: str) -> ChargeFailed:
    return ChargeFailed(
        charge_id=command.charge_id,
        account_id=command.account_id,
        order_id=command.order_id,
        code=code,
        detail=detail,
    )


def _too_little(command: RequestCharge, charge: Charge) -> ChargeDeferred | ChargeFailed:
    if charge.status == COLLECTING:
        lacking = missing(command.amount)
        detail = f"{lacking} {lacking.currency} are missing to what can be charged at once."
        return _not_requested(command, "below_minimum", detail)
    return ChargeDeferred(
        charge_id=command.charge_id,
        account_id=command.account_id,
        order_id=command.order_id,
        amount=command.amount,
    )


def record_succeeded(command: RecordChargeSucceeded, charge: Charge) -> Sequence[Event]:
    """Taken: the amount we asked for, whatever a report says."""
    require_requested(charge)
    if charge.status == "succeeded":
        return []
    return [
        ChargeSucceeded(
            **charge.ids,
            amount=charge.amount,
            provider_id=command.provider_id,
            receipt_url=command.receipt_url,
        )
    ]


def record_failed(command: RecordChargeFailed, charge: Charge) -> Sequence[Event]:
    """Refused, for good. Pointless once the outcome is known."""
    require_requested(charge)
    if not charge.is_open:
        return []
    return [
        ChargeFailed(
            **charge.ids,
            code=command.code,
            detail=command.detail,
        )
    ]


def record_action_required(command: RecordActionRequired, charge: Charge) -> Sequence[Event]:
    """The customer has to confirm. If nobody waits for that any more, it is cancelled next."""
    require_requested(charge)
    if charge.status not in {"requested", "unknown"}:
        return []
    required = ChargeActionRequired(
        **charge.ids,
        provider_id=command.provider_id,
        client_secret=command.client_secret,
    )
    return [required, _look(charge, give_up=True)] if charge.given_up else [required]


def record_unknown(charge: Charge) -> Sequence[Event]:
    """Said once; the look-ups that follow are silent."""
    require_requested(charge)
    if charge.status != "requested":
        return []
    return [ChargeUnknown(**charge.ids)]


def check(command: CheckCharge, charge: Charge) -> Sequence[Event]:
    """Asks for a look at the provider. Giving up is pointless unless the charge is open, and done
    once; of a charge that was never requested there is nothing to see."""
    if not charge.was_requested:
        return []
    if command.give_up and (charge.given_up or not charge.is_open):
        return []
    return [_look(charge, give_up=command.give_up)]


def _look(charge: Charge, *, give_up: bool) -> ChargeCheckRequested:
    return ChargeCheckRequested(
        **charge.ids,
        give_up=give_up,
    )


def calls_for_a_look(report: SettleReport, charge: Charge) -> bool:
    """Whether a provider's report tells us something new. It is never believed, only looked into.

    A charge that is just being sent (``requested``) is settled by the answer to its call. The
    detail of ``refunded`` is the sum refunded so far, in minor units.
    """
    if not charge.was_requested:
        return False
    if report.kind == "refunded":
        known = charge.refunded("requested", "refunded").minor_units()
        return int(report.detail) > known
    if report.kind == "succeeded":
        return charge.status in {"unknown", "action_required", "failed"}
    return charge.status in {"unknown", "action_required"}


def decide(command: Command, charge: Charge) -> Sequence[Event]:  # One per command.
    """All rules of charges, refunds, and of what is owed."""
    match command:
        case RequestCharge():
            return request(command, charge)
        case RecordChargeSucceeded():
            return record_succeeded(command, charge)
        case RecordChargeFailed():
            return record_failed(command, charge)
        case RecordActionRequired():
            return record_action_required(command, charge)
        case RecordChargeUnknown():
            return record_unknown(charge)
        case CheckCharge():
            return check(command, charge)
        case RefundCharge():
            return refunds.request(command, charge)
        case RecordRefunded():
            return refunds.record(command, charge)
        case RecordRefundFailed():
            return refunds.record_failed(command, charge)
        case PayOwed():
            return owed.pay(command, charge)
        case ClaimDeferred():
            return owed.claim(command, charge)
        case ReleaseDeferred():
            return owed.release(command, charge)
        case SettleDeferred():
            return owed.settle(command, charge)
        case _:
            assert_never(command)


def _key(command: Command) -> str:
    return command.charge_id


AGGREGATE = Aggregate(
    category="charge",
    commands=(
        RequestCharge,
        RecordChargeSucceeded,
        RecordChargeFailed,
        RecordActionRequired,
        RecordChargeUnknown,
        CheckCharge,
        RefundCharge,
        RecordRefunded,
        RecordRefundFailed,
        PayOwed,
        ClaimDeferred,
        ReleaseDeferred,
        SettleDeferred,
    ),
    initial=Charge(),
    key=_key,
    evolve=evolve,
    decide=decide,
    begins=(RequestCharge,),
)

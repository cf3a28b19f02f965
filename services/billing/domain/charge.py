"""A charge: requested → succeeded | failed | action required | unknown, and its refunds.

The provider's word that money was taken beats everything said before, because it is a fact; that
is the only way out of ``failed``. Whoever wanted the charge then sends the money back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from services.billing.domain.charge_state import Charge, Event, evolve
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
    CheckCharge,
    RecordActionRequired,
    RecordChargeFailed,
    RecordChargeSucceeded,
    RecordChargeUnknown,
    RecordRefunded,
    RecordRefundFailed,
    RefundCharge,
    RequestCharge,
    SettleReport,
)
from shared.aggregate import Aggregate
from shared.refusals import refusal

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
)


def request(command: RequestCharge, charge: Charge) -> Sequence[Event]:
    """Requests once, rounded to what the provider can take: whole minor units, half up.
    Without a card it fails at once, and nothing is sent."""
    if charge.status:
        return []
    if command.payment_method_id is None:
        return [
            ChargeFailed(
                charge_id=command.charge_id,
                account_id=command.account_id,
                order_id=command.order_id,
                code="payment_method_required",
                detail="The account has no such card to charge.",
            )
        ]
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


def record_succeeded(command: RecordChargeSucceeded, charge: Charge) -> Sequence[Event]:
    """Taken: the amount we asked for, whatever a report says."""
    _require_requested(charge)
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
    _require_requested(charge)
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
    _require_requested(charge)
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
    _require_requested(charge)
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


def refund(command: RefundCharge, charge: Charge) -> Sequence[Event]:
    """Requests a refund once. One that cannot be is answered by ``ChargeRefundFailed``, not by a
    refusal: the service that asked by an event has to hear of it."""
    _require_requested(charge)
    if command.refund_id in charge.refunds:
        return []
    amount = command.amount.rounded()
    if amount.micros <= 0 or amount.currency != charge.amount.currency:
        detail = f"A refund is an amount over 0 in {charge.amount.currency}."
        return [_refund_failed(charge, command.refund_id, "invalid_value", detail)]
    if amount.micros > charge.left.micros:
        detail = f"{charge.left} {amount.currency} of this charge are left to refund."
        return [_refund_failed(charge, command.refund_id, "refund_too_large", detail)]
    return [
        ChargeRefundRequested(
            **charge.ids,
            refund_id=command.refund_id,
            amount=amount,
            provider_id=charge.provider_id,
        )
    ]


def record_refunded(command: RecordRefunded, charge: Charge) -> Sequence[Event]:
    """Returned: what we asked for, or what was refunded at the provider itself, each once.
    More than was taken cannot have gone back: ``refund_too_large``."""
    _require_requested(charge)
    mine = charge.refunds.get(command.refund_id)
    if any(r.provider_refund == command.provider_refund for r in charge.refunds.values()):
        return []
    amount = mine.amount if mine and mine.status == "requested" else command.amount
    if amount.micros > (charge.amount - charge.refunded("refunded")).micros:
        raise refusal("refund_too_large")
    return [
        ChargeRefunded(
            **charge.ids,
            refund_id=command.refund_id,
            amount=amount,
            provider_refund=command.provider_refund,
        )
    ]


def record_refund_failed(command: RecordRefundFailed, charge: Charge) -> Sequence[Event]:
    """The provider refuses a refund that is on its way."""
    _require_requested(charge)
    mine = charge.refunds.get(command.refund_id)
    if mine is None or mine.status != "requested":
        return []
    return [_refund_failed(charge, command.refund_id, command.code, command.detail)]


def _refund_failed(charge: Charge, refund_id: str, code: str, detail: str) -> ChargeRefundFailed:
    return ChargeRefundFailed(
        **charge.ids,
        refund_id=refund_id,
        code=code,
        detail=detail,
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


def _require_requested(charge: Charge) -> None:
    if not charge.was_requested:
        raise refusal("charge_unknown")


def decide(command: Command, charge: Charge) -> Sequence[Event]:
    """All rules of charges and refunds."""
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
            return refund(command, charge)
        case RecordRefunded():
            return record_refunded(command, charge)
        case RecordRefundFailed():
            return record_refund_failed(command, charge)
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
    ),
    initial=Charge(),
    key=_key,
    evolve=evolve,
    decide=decide,
)

"""Calls to the payment provider: event → call → command with the outcome.

Before anything that takes or returns money is sent a second time, it is looked up; and it is sent
again under the same idempotency key. Stripe forgets those keys after 24 hours and our own record of
attempts may be lost, so a request that is not fresh is looked up before its first sending as well.
``docs/explanation/charging.md`` tells it in full.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.billing.domain import account, charge
from services.billing.domain.account import Account
from services.billing.domain.charge_state import Charge
from services.billing.messages import (
    ChargeCheckRequested,
    ChargeRefundRequested,
    ChargeRequested,
    PaymentMethodRemoved,
    RecordActionRequired,
    RecordChargeFailed,
    RecordChargeSucceeded,
    RecordChargeUnknown,
    RecordRefunded,
    RecordRefundFailed,
)
from services.billing.provider import Provider
from services.billing.provider_answers import Payment, ProviderRefusedError, Returned
from shared.consumers.effects import Attempt, Effect, OutcomeUnknownError
from shared.happened import Happened
from shared.ids import command_id, derived_id
from shared.money import Money, minor_unit_micros
from shared.runtime import Runtime

PROVIDER = "stripe"
_FRESH_SECONDS = 60.0  # Far under the 24 h that Stripe keeps a key, far over a healthy delay.
_SKEW_SECONDS = 3600  # How far Stripe's clock may be from ours.
_MICROS = 1_000_000
_ON_ITS_WAY = frozenset({"succeeded", "pending", "requires_action"})


@dataclass(frozen=True)
class Payments:
    """The effects of billing."""

    runtime: Runtime
    provider: Provider

    def charge(self, event: Happened, attempt: Attempt) -> Sequence[Any]:
        """Takes the money of a charge, once."""
        asked: ChargeRequested = event.message
        state = self._charge(asked.charge_id)
        if state.status not in {"requested", "unknown"}:
            return []
        if state.given_up or self._may_be_known(event, attempt):
            found = self._find(state)
            if found is not None:
                return self._settled(state, found)
        if state.given_up:
            return [_failed(state, "payment_failed", "The order ended before it was charged.")]
        return self._settled(state, self.provider.charge(asked, attempt.provider_key))

    def check(self, event: Happened, _attempt: Attempt) -> Sequence[Any]:
        """Asks how a charge stands, and what of it was refunded elsewhere. Not found means that
        it has not arrived yet: then the effect that sends it goes on."""
        state = self._charge(event.message.charge_id)
        if state.provider_id:
            found: Payment | None = self.provider.payment(state.provider_id)
        else:
            found = self._find(state)
        if found is None:
            return []
        outcome = self._settled(state, found)
        refunds = self._all_refunds(state, found.id) if found.status == "succeeded" else []
        return [*outcome, *refunds]

    def refund(self, event: Happened, attempt: Attempt) -> Sequence[Any]:
        """Returns the money of one refund, once. One without a payment waits until its charge is
        settled, and is requested again then."""
        asked: ChargeRefundRequested = event.message
        state = self._charge(asked.charge_id)
        if not asked.provider_id or state.refunds[asked.refund_id].status != "requested":
            return []
        if self._may_be_known(event, attempt):
            for found in self.provider.refunds(asked.provider_id):
                if found.refund_id == asked.refund_id:
                    return [_refund_outcome(state, asked, found)]
        try:
            made = self.provider.refund(asked, attempt.provider_key)
        except ProviderRefusedError as no:
            failed = _refund_failed(asked, no.code, no.detail)
            # A payment of several charges does not say for which one a refund elsewhere was.
            others = [] if state.is_deferred else self._all_refunds(state, asked.provider_id)
            return [failed, *others]
        return [_refund_outcome(state, asked, made)]

    def detach(self, event: Happened, _attempt: Attempt) -> Sequence[Any]:
        """Tells the provider to forget a card that was removed."""
        removed: PaymentMethodRemoved = event.message
        owner: Account = self.runtime.application.load(account.AGGREGATE, removed.account_id)
        card = owner.known(removed.payment_method_id)
        if card is not None:
            self._forget(card.provider_id)
        return []

    def _forget(self, provider_id: str) -> None:
        with contextlib.suppress(ProviderRefusedError):  # It is detached already.
            self.provider.detach(provider_id)

    def _charge(self, charge_id: str) -> Charge:
        state: Charge = self.runtime.application.load(charge.AGGREGATE, charge_id)
        return state

    def _may_be_known(self, event: Happened, attempt: Attempt) -> bool:
        # Machine time on both sides: the provider knows nothing of our test clock.
        age = self.runtime.machine.now().timestamp() - event.stored.recorded_at / _MICROS
        return attempt.maybe_sent or age > _FRESH_SECONDS

    def _find(self, state: Charge) -> Payment | None:
        stream = f"{charge.AGGREGATE.category}-{state.charge_id}"
        requested = self.runtime.application.log.read_stream(stream)[0]
        since = requested.recorded_at // _MICROS - _SKEW_SECONDS
        return self.provider.find_payment(state.provider_customer, state.charge_id, since)

    def _settled(self, state: Charge, payment: Payment) -> Sequence[Any]:
        match payment.status:
            case "succeeded":
                return [_succeeded(state, payment)]
            case "requires_action" if not state.given_up:
                return [_action_required(state, payment)]
            case "requires_action" | "requires_payment_method" | "requires_confirmation":
                return [self._ended(state, payment)]
            case "declined" | "canceled":
                return [_failed(state, payment.code, payment.detail)]
            case other:
                message = f"the payment is {other}"
                raise OutcomeUnknownError(message)

    def _ended(self, state: Charge, waiting: Payment) -> Any:
        # "Failed" promises that no money will be taken, so nobody may complete it later.
        now = self.provider.cancel(waiting.id)
        if now.status == "succeeded":
            return _succeeded(state, now)
        if now.status != "canceled":
            message = f"the payment is {now.status} and could not be cancelled"
            raise OutcomeUnknownError(message)
        if waiting.status == "requires_action":
            detail = "The bank's confirmation was not given in time."
            return _failed(state, "authentication_required", detail)
        return _failed(state, waiting.code, waiting.detail)

    def _all_refunds(self, state: Charge, provider_id: str) -> Sequence[Any]:
        found = self.provider.refunds(provider_id)
        return [_recorded(state, one) for one in found if one.status in _ON_ITS_WAY]


def _succeeded(state: Charge, payment: Payment) -> RecordChargeSucceeded:
    asked = (state.amount.minor_units(), state.amount.currency)
    if (payment.amount_minor, payment.currency) != asked:
        message = f"{payment.id} took another amount than was asked for"
        raise OutcomeUnknownError(message)
    return RecordChargeSucceeded(
        charge_id=state.charge_id, provider_id=payment.id, receipt_url=payment.receipt_url
    )


def _action_required(state: Charge, payment: Payment) -> RecordActionRequired:
    return RecordActionRequired(
        charge_id=state.charge_id, provider_id=payment.id, client_secret=payment.client_secret
    )


def _failed(state: Charge, code: str, detail: str) -> RecordChargeFailed:
    return RecordChargeFailed(charge_id=state.charge_id, code=code, detail=detail)


def _recorded(state: Charge, found: Returned) -> RecordRefunded:
    unit = minor_unit_micros(state.amount.currency)
    return RecordRefunded(
        charge_id=state.charge_id,
        # One made elsewhere gets an id that derives from theirs, so that it is recorded once.
        refund_id=found.refund_id or derived_id("ref", command_id(PROVIDER, found.id)),
        amount=Money(found.amount_minor * unit, state.amount.currency),
        provider_refund=found.id,
    )


def _refund_outcome(
    state: Charge, asked: ChargeRefundRequested, found: Returned
) -> RecordRefunded | RecordRefundFailed:
    if found.status in _ON_ITS_WAY:
        return _recorded(state, found)
    return _refund_failed(
        asked, "payment_failed", f"The provider says the refund is {found.status}."
    )


def _refund_failed(asked: ChargeRefundRequested, code: str, detail: str) -> RecordRefundFailed:
    return RecordRefundFailed(
        charge_id=asked.charge_id, refund_id=asked.refund_id, code=code, detail=detail
    )


def _unknown(event: Happened) -> Sequence[Any]:
    return [RecordChargeUnknown(charge_id=event.message.charge_id)]


def _by_card(event: ChargeRequested | PaymentMethodRemoved) -> str:
    # One slow card never holds up others; a removed card is detached after its last charge.
    return event.payment_method_id


def _by_charge(event: ChargeCheckRequested | ChargeRefundRequested) -> str:
    return event.charge_id


def _no_key(_event: Any) -> str:
    return ""


def effects(runtime: Runtime) -> tuple[Effect, ...]:
    """The effects of billing. Nothing connects before the first call."""
    payments = Payments(runtime, Provider(runtime.settings))
    return (
        Effect(
            name="charge",
            provider=PROVIDER,
            events=(ChargeRequested,),
            key=_by_card,
            provider_key=lambda event: event.charge_id,
            call=payments.charge,
            unknown=_unknown,
        ),
        Effect(
            name="check",
            provider=PROVIDER,
            events=(ChargeCheckRequested,),
            key=_by_charge,
            provider_key=_no_key,
            call=payments.check,
        ),
        Effect(
            name="refund",
            provider=PROVIDER,
            events=(ChargeRefundRequested,),
            key=_by_charge,
            provider_key=lambda event: event.refund_id,
            call=payments.refund,
        ),
        Effect(
            name="detach",
            provider=PROVIDER,
            events=(PaymentMethodRemoved,),
            key=_by_card,
            provider_key=_no_key,
            call=payments.detach,
        ),
    )

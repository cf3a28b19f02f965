"""Adding a card: what the provider is asked before the account records it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from services.billing.domain.account import Account
from services.billing.provider import Provider
from services.billing.provider_answers import CardFacts, ProviderRefusedError, Setup
from shared.consumers.effects import NotSentError, OutcomeUnknownError
from shared.refusals import refusal

T = TypeVar("T")


@dataclass(frozen=True)
class CardDesk:
    """Speaks with the provider for one caller. Every method raises
    ``payment_provider_unavailable`` when the provider gives no answer; repeating is safe."""

    provider: Provider
    sandbox: bool

    def begin(self, account_id: str, owner: Account, key: str) -> Setup:
        """Begins to add a card that the customer types into the provider's own form."""
        customer = self._customer(account_id, owner)
        return _answered(lambda: self.provider.begin_setup(customer, account_id, key))

    def completed(self, account_id: str, setup_id: str) -> CardFacts:
        """The card of a completed set-up. Raises ``payment_method_unknown`` for a set-up that is
        not there or not this account's, ``card_declined`` and ``authentication_required`` for one
        that failed, ``invalid_value`` for one that is not complete."""
        try:
            found = _answered(lambda: self.provider.setup(setup_id))
        except ProviderRefusedError:
            raise refusal("payment_method_unknown", param="setup_intent_id") from None
        if found.account_id != account_id:
            raise refusal("payment_method_unknown", param="setup_intent_id")
        return _card_of(found)

    def of_token(self, account_id: str, owner: Account, token: str, key: str) -> CardFacts:
        """The card of a test token (sandbox only), put on the account's customer. Raises
        ``card_declined`` for one that its bank refuses."""
        if not self.sandbox:
            raise refusal("unknown_field", param="payment_method")
        customer = self._customer(account_id, owner)
        try:
            return _answered(lambda: self.provider.attach(token, customer, key))
        except ProviderRefusedError as no:
            if no.code == "payment_failed":
                raise refusal("payment_method_unknown", param="payment_method") from None
            raise refusal(no.code, no.detail, param="payment_method") from None

    def _customer(self, account_id: str, owner: Account) -> str:
        if owner.provider_customer:
            return owner.provider_customer
        return _answered(lambda: self.provider.make_customer(account_id))


def _card_of(setup: Setup) -> CardFacts:
    if setup.card is not None:
        return setup.card
    if setup.failure is not None:
        code, detail = setup.failure
        raise refusal(code, detail, param="setup_intent_id")
    raise refusal("invalid_value", "This card is not set up completely.", param="setup_intent_id")


def _answered(call: Callable[[], T]) -> T:
    try:
        return call()
    except (NotSentError, OutcomeUnknownError) as error:
        raise refusal("payment_provider_unavailable") from error

"""An account and its cards. It knows no charges: those have streams of their own."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import phonenumbers

from services.billing.messages import (
    AccountOpened,
    AddPaymentMethod,
    ChangeDefaultPaymentMethod,
    DefaultPaymentMethodChanged,
    OpenAccount,
    PaymentMethodAdded,
    PaymentMethodRemoved,
    RemovePaymentMethod,
)
from shared.aggregate import Aggregate
from shared.money import require_currency
from shared.refusals import refusal

Command = OpenAccount | AddPaymentMethod | ChangeDefaultPaymentMethod | RemovePaymentMethod
Event = AccountOpened | PaymentMethodAdded | DefaultPaymentMethodChanged | PaymentMethodRemoved

_LONGEST_NAME = 200
_LONGEST_EMAIL = 254  # RFC 5321 section 4.5.3.1.3, less the brackets.


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the provider named it. A removed one is kept: the provider is told by its id."""

    payment_method_id: str
    provider_id: str
    provider_customer: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What the rules need to know of an account. ``cards`` are in the order they were added."""

    account_id: str = ""
    currency: str = ""
    cards: tuple[Card, ...] = ()
    default: str | None = None

    def known(self, payment_method_id: str) -> Card | None:
        """A card that is or was this account's."""
        return next((c for c in self.cards if c.payment_method_id == payment_method_id), None)

    def card(self, payment_method_id: str) -> Card | None:
        """A card that can be charged."""
        found = self.known(payment_method_id)
        return None if found is None or found.removed else found

    def chargeable(self, named: str | None) -> Card | None:
        """The card named, or the default if none is. A named one that is gone has no stand-in:
        nobody wants to pay with another card than he said."""
        wanted = named or self.default
        return self.card(wanted) if wanted else None

    def of_provider(self, provider_id: str) -> Card | None:
        """The usable card that the provider knows by this id."""
        found = (c for c in self.cards if c.provider_id == provider_id and not c.removed)
        return next(found, None)

    @property
    def provider_customer(self) -> str:
        """The provider's customer of the newest card; empty before the first."""
        return self.cards[-1].provider_customer if self.cards else ""


def open_account(command: OpenAccount, account: Account) -> Sequence[Event]:
    """Opens once. Refused (``invalid_value``): a blank name, an e-mail without @, a country that
    is not of ISO 3166-1 alpha-2, a time zone that is not of the IANA list, an unknown currency."""
    if account.account_id:
        return []
    _check_person(command)
    if command.country not in phonenumbers.SUPPORTED_REGIONS:
        detail = f"{command.country!r} is no country code of ISO 3166-1 (two capital letters)."
        raise refusal("invalid_value", detail, param="country")
    _check_time_zone(command.time_zone)
    return [
        AccountOpened(
            account_id=command.account_id,
            name=command.name,
            email=command.email,
            country=command.country,
            time_zone=command.time_zone,
            currency=require_currency(command.currency),
        )
    ]


def _check_person(command: OpenAccount) -> None:
    if not command.name.strip() or len(command.name) > _LONGEST_NAME:
        raise refusal("invalid_value", "A name has 1 to 200 characters.", param="name")
    local, _, domain = command.email.rpartition("@")
    if not local or not domain or len(command.email) > _LONGEST_EMAIL or " " in command.email:
        raise refusal("invalid_value", "This is no e-mail address.", param="email")


def _check_time_zone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        detail = f"{name!r} is no time zone of the IANA list, as in Europe/Berlin."
        raise refusal("invalid_value", detail, param="time_zone") from None


def add(command: AddPaymentMethod, account: Account) -> Sequence[Event]:
    """Adds a card once, also when the provider's card comes again under another command."""
    _require_open(account)
    if account.known(command.payment_method_id) or account.of_provider(command.provider_id):
        return []
    return [
        PaymentMethodAdded(
            account_id=command.account_id,
            payment_method_id=command.payment_method_id,
            provider_id=command.provider_id,
            provider_customer=command.provider_customer,
            brand=command.brand,
            last4=command.last4,
            exp_month=command.exp_month,
            exp_year=command.exp_year,
            default=account.default is None,
        )
    ]


def change_default(command: ChangeDefaultPaymentMethod, account: Account) -> Sequence[Event]:
    """Names another card. Refused (``payment_method_unknown``) for a card that is not there."""
    card = _require_card(account, command.payment_method_id)
    if card.payment_method_id == account.default:
        return []
    return [
        DefaultPaymentMethodChanged(
            account_id=command.account_id, payment_method_id=card.payment_method_id
        )
    ]


def remove(command: RemovePaymentMethod, account: Account) -> Sequence[Event]:
    """Takes a card away; if it was the default, the oldest one left takes its place."""
    card = _require_card(account, command.payment_method_id)
    left = [c for c in account.cards if not c.removed and c is not card]
    heir = left[0].payment_method_id if left else None
    return [
        PaymentMethodRemoved(
            account_id=command.account_id,
            payment_method_id=card.payment_method_id,
            new_default=heir if card.payment_method_id == account.default else None,
        )
    ]


def _require_open(account: Account) -> None:
    if not account.account_id:
        raise refusal("account_unknown")


def _require_card(account: Account, payment_method_id: str) -> Card:
    _require_open(account)
    found = account.card(payment_method_id)
    if found is None:
        raise refusal("payment_method_unknown", param="payment_method_id")
    return found


def decide(command: Command, account: Account) -> Sequence[Event]:
    """All rules of accounts and cards."""
    match command:
        case OpenAccount():
            return open_account(command, account)
        case AddPaymentMethod():
            return add(command, account)
        case ChangeDefaultPaymentMethod():
            return change_default(command, account)
        case RemovePaymentMethod():
            return remove(command, account)
        case _:
            assert_never(command)


def evolve(account: Account, event: Event) -> Account:
    """Folds an account's events."""
    match event:
        case AccountOpened():
            return replace(account, account_id=event.account_id, currency=event.currency)
        case PaymentMethodAdded():
            default = event.payment_method_id if event.default else account.default
            return replace(account, cards=(*account.cards, _card(event)), default=default)
        case DefaultPaymentMethodChanged():
            return replace(account, default=event.payment_method_id)
        case PaymentMethodRemoved():
            return _without(account, event)
        case _:
            assert_never(event)


def _card(event: PaymentMethodAdded) -> Card:
    return Card(
        payment_method_id=event.payment_method_id,
        provider_id=event.provider_id,
        provider_customer=event.provider_customer,
        brand=event.brand,
        last4=event.last4,
        exp_month=event.exp_month,
        exp_year=event.exp_year,
    )


def _without(account: Account, event: PaymentMethodRemoved) -> Account:
    gone = event.payment_method_id
    cards = tuple(
        replace(c, removed=True) if c.payment_method_id == gone else c for c in account.cards
    )
    default = event.new_default if account.default == gone else account.default
    return replace(account, cards=cards, default=default)


def _key(command: Command) -> str:
    return command.account_id


AGGREGATE = Aggregate(
    category="account",
    commands=(OpenAccount, AddPaymentMethod, ChangeDefaultPaymentMethod, RemovePaymentMethod),
    initial=Account(),
    key=_key,
    evolve=evolve,
    decide=decide,
    begins=(OpenAccount,),
)

"""What is owed, and its payments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.gateway.schemas.buying import Failure, PaymentAction
from services.gateway.schemas.common import Answer, Money, Strict


class OwedCharge(Answer):
    """One order's charge that was too little; ``paid_by`` is the payment that has taken it on."""

    charge_id: str
    order_id: str
    amount: Money
    status: Literal["owed", "being_paid"]
    paid_by: str | None = None
    since: str


class OwedInCurrency(Answer):
    """What is owed in one currency. ``missing``: what lacks to the ``minimum`` that can be charged
    at once; ``payable``: whether a payment can begin now."""

    currency: str
    owed: Money
    being_paid: Money
    minimum: Money
    missing: Money
    payable: bool
    payments: list[str]
    charges: list[OwedCharge]


class Balance(Answer):
    """What is owed, one item per currency; none if nothing is."""

    currencies: list[OwedInCurrency]


class PaymentBody(Strict):
    """Which currency to pay. The default card is charged unless one is named."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["USD"])]
    payment_method_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class BalancePayment(Answer):
    """A payment of what is owed. ``pays`` are the charges it was made for."""

    id: str
    status: Literal["requested", "action_required", "unknown", "succeeded", "failed"]
    amount: Money
    pays: list[str]
    receipt_url: str | None = None
    failure: Failure | None = None
    payment_action: PaymentAction | None = None

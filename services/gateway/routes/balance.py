"""What is owed because it was too little to be charged, and paying it."""

from __future__ import annotations

from typing import Any

from services.gateway.declare import Key, Routes, created
from services.gateway.identity import Who
from services.gateway.schemas.balance import Balance, BalancePayment, PaymentBody
from services.gateway.schemas.buying import ChargePath
from services.gateway.schemas.common import Nothing
from services.gateway.surroundings import ask, order, require, without_position

ROUTES = Routes("Balance", "Orders below what the payment provider takes stay owed; pay them here.")
_CHARGES = ("charges",)
_PAYING = (
    "nothing_owed",
    "below_minimum",
    "balance_being_paid",
    "payment_method_required",
    "payment_method_unknown",
    "account_unknown",
    "account_needed",
)


@ROUTES.get("/v1/balance", Balance, waits_for=_CHARGES)
def get_balance() -> Any:
    """What is owed"""
    return ask("billing", "get_balance")


@ROUTES.post(
    "/v1/balance/payments",
    {201: BalancePayment},
    who=Who.BUYER,
    key=Key.REQUIRED,
    refuses=_PAYING,
)
def pay_balance(body: PaymentBody) -> tuple[Any, int]:
    """Pay all that is owed in a currency"""
    return created(without_position(order("billing", "pay_owed", **body.model_dump())))


@ROUTES.get(
    "/v1/balance/payments/<charge_id>",
    BalancePayment,
    waits_for=_CHARGES,
    refuses=("charge_unknown",),
)
def get_balance_payment(path: ChargePath) -> Any:
    """How a payment of what is owed stands"""
    found = ask("billing", "get_charge", charge_id=path.charge_id)
    require(found["kind"] == "balance", "charge_unknown")
    if found["status"] == "action_required":
        found["payment_action"] = ask("billing", "get_payment_action", charge_id=path.charge_id)
    return without_position(found)


@ROUTES.post(
    "/v1/balance/payments/<charge_id>/confirmation",
    {200: BalancePayment},
    who=Who.BUYER,
    refuses=("charge_unknown", "nothing_to_confirm", "account_needed"),
)
def confirm_balance_payment(path: ChargePath, body: Nothing) -> Any:  # noqa: ARG001
    """Say that the bank's step (3-D Secure) is done"""
    return without_position(order("billing", "confirm_owed_payment", charge_id=path.charge_id))

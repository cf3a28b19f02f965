"""The commands of a purchase, as the services' policies and the gateway make them."""

from __future__ import annotations

from dataclasses import dataclass

from services.billing.messages import (
    AddPaymentMethod,
    OpenAccount,
    RequestCharge,
)
from services.inventory.messages import (
    AllocatedNumber,
    HeldLine,
    HoldNumber,
    StockBlock,
)
from services.orders.messages import (
    BeginTenure,
    OrderReserved,
    PlaceOrder,
)


@dataclass(frozen=True, slots=True)
class Buyer:
    """An account with a card."""

    account_id: str
    card_id: str


def opening(buyer: Buyer, n: int) -> OpenAccount:
    return OpenAccount(
        account_id=buyer.account_id,
        name=f"Company {n}",
        email=f"company{n}@example.com",
        country="US",
        time_zone="America/New_York",
        currency="USD",
    )


def card(buyer: Buyer, n: int) -> AddPaymentMethod:
    return AddPaymentMethod(
        account_id=buyer.account_id,
        payment_method_id=buyer.card_id,
        provider_id=f"pm_bench{n}",
        provider_customer=f"cus_bench{n}",
        brand="visa",
        last4="4242",
        exp_month=12,
        exp_year=2034,
    )


def holding(number: str, block: StockBlock, hold_id: str, buyer: Buyer) -> HoldNumber:
    return HoldNumber(
        number=number,
        block_id=block.block_id,
        offer_id=block.offer_id,
        terms=block.terms,
        hold_id=hold_id,
        account_id=buyer.account_id,
    )


def placing(buyer: Buyer, quote_id: str, order_id: str) -> PlaceOrder:
    return PlaceOrder(
        order_id=order_id,
        account_id=buyer.account_id,
        kind="purchase",
        hold_id=quote_id,
        items=(),
        strategy="all_or_nothing",
        payment_method_id=buyer.card_id,
        usage=None,
        end_user=None,
        document_ids=(),
    )


def charging(buyer: Buyer, charge_id: str, reserved: OrderReserved) -> RequestCharge:
    return RequestCharge(
        charge_id=charge_id,
        account_id=buyer.account_id,
        order_id=reserved.order_id,
        amount=reserved.amount,
        payment_method_id=buyer.card_id,
        provider_customer="cus_bench",
        provider_method="pm_bench",
    )


def beginning(buyer: Buyer, order_id: str, line: HeldLine, one: AllocatedNumber) -> BeginTenure:
    return BeginTenure(
        num_id=one.num_id,
        number=one.number,
        account_id=buyer.account_id,
        order_id=order_id,
        offer_id=line.offer_id,
        place=line.place,
        terms=line.terms,
        origin="purchased",
    )

"""Quotes, orders, cards."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from services.gateway.schemas.common import (
    Answer,
    Maybe,
    Money,
    MoneyIn,
    Page,
    Paging,
    Path,
    Query,
    ShortText,
    Strict,
    Text,
)

_MOST_QUANTITY = 10
_MOST_ITEMS = 100
_E164 = Annotated[str, Field(min_length=3, max_length=32, examples=["+12125550123"])]


def _quantity(found: Any) -> Any:
    # A code of its own, because it is a rule of buying and not of JSON.
    whole = isinstance(found, int) and not isinstance(found, bool)
    if whole and not 1 <= found <= _MOST_QUANTITY:
        kind = "quantity_invalid"
        raise PydanticCustomError(kind, "A quantity is from 1 to 10")
    return found


Quantity = Annotated[
    int,
    BeforeValidator(_quantity),
    Field(json_schema_extra={"minimum": 1, "maximum": _MOST_QUANTITY}),
]


class Item(Strict):
    """What is wanted: a quantity of an offer, or one particular number. One of the two."""

    offer_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    quantity: Quantity = 1
    number: _E164 | None = None


Items = Annotated[list[Item], Field(min_length=1, max_length=_MOST_ITEMS)]


class QuoteBody(Strict):
    """Which numbers to hold."""

    items: Items


class Line(Answer):
    """Numbers at equal terms; amounts per number and for all of the line."""

    offer_id: str
    country: str
    region: str | None = None
    city: str | None = None
    area_code: str | None = None
    type: str
    quantity: int
    numbers: list[str]
    setup_fee: Money
    monthly_fee: Money
    unit_cost: Money


class Quote(Answer):
    """Numbers held at a price until ``expires_at``."""

    id: str
    status: Literal["open", "pinned", "released", "expired"]
    lines: list[Line]
    numbers: list[str]
    setup_total: Money
    monthly_total: Money
    due_now: Money
    expires_at: str
    order_id: str | None = None


class QuotePath(Path):
    """A quote."""

    quote_id: str


class EndUser(Strict):
    """The person or company that will use the numbers."""

    first_name: ShortText | None = None
    last_name: ShortText | None = None
    contact_phone: ShortText | None = None
    company_name: ShortText | None = None


class OrderBody(Strict):
    """What to buy: a quote, or items. The default card is charged unless one is named."""

    quote_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    items: Items | None = None
    payment_method_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    strategy: Literal["all_or_nothing", "best_effort"] = "all_or_nothing"
    end_user: EndUser | None = None
    usage: Literal["business", "personal"] | None = None
    document_ids: Annotated[list[ShortText], Field(max_length=20)] = Field(default_factory=list)


class WaitQuery(Query):
    """How many seconds to wait for the order to end."""

    wait: float = Field(0, ge=0, le=30)


OrderStatus = Literal[
    "placed",
    "reserving",
    "charging",
    "action_required",
    "fulfilled",
    "failed",
    "refunded",
    "needs_operator",
]


class OrderNumber(Answer):
    """One number of an order."""

    number: str
    num_id: str | None = None
    offer_id: str | None = None
    status: Literal["held", "purchased", "refused", "refunded"]
    code: str | None = None


class Failure(Answer):
    """Why an order failed."""

    code: str
    detail: str


class PaymentAction(Answer):
    """What the customer's browser has to do for the bank (3-D Secure)."""

    type: str
    client_secret: str
    expires_at: str | None = None


class Order(Answer):
    """An order, ended or not."""

    id: str
    status: OrderStatus
    numbers: list[OrderNumber]
    lines: list[Line]
    total: Money | None = None
    refunded_total: Money | None = None
    charge_id: str | None = None
    failure: Failure | None = None
    payment_action: PaymentAction | None = None


class Orders(Page):
    """Orders, newest first."""

    data: list[Order]


class OrdersQuery(Paging):
    """Which orders."""

    status: OrderStatus | None = None


class OrderPath(Path):
    """An order."""

    order_id: str


class RefundBody(Strict):
    """What to give back: an amount, the price of numbers, or (neither named) all that is left."""

    amount: MoneyIn | None = None
    numbers: Annotated[list[_E164], Field(max_length=1000)] = Field(default_factory=list)
    reason: Annotated[Text, Field(max_length=500)] = ""


class Card(Answer):
    """A card that can be charged. Its number is never known to us."""

    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    default: bool


class Cards(Page):
    """The cards of an account."""

    data: list[Card]


class CardBody(Strict):
    """A card that was entered at the payment provider; in sandbox also one of its test tokens."""

    setup_intent_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    payment_method: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class CardPath(Path):
    """A card."""

    payment_method_id: str


class SetupIntent(Answer):
    """What the browser needs to enter a card at the payment provider."""

    id: str
    client_secret: str
    publishable_key: str | None = None
    script_url: str | None = None


class Charge(Answer):
    """Money taken, or tried to."""

    id: str


class Charges(Page):
    """Charges, newest first."""

    data: list[Charge]


class ChargesQuery(Paging):
    """Which charges."""

    order_id: Maybe = None


class ChargePath(Path):
    """A charge."""

    charge_id: str

"""The views of orders and of the numbers that came of them. ``views.py`` asks them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

from services.billing.messages import AccountOpened
from services.orders import number_rows, order_rows
from services.orders.messages import NumberPurchased, OrderPlaced
from shared.consumers.projections import Projection
from shared.consumers.rows import Key, Rows
from shared.happened import Happened

_ORDERS = MetaData()
customer_order = Table(
    "customer_order",
    _ORDERS,
    Column("order_id", String, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("lines", JSON, nullable=False),
    Column("missing", JSON, nullable=False),
    Column("refunds", JSON, nullable=False),
    Column("currency", String),
    Column("total", BigInteger),  # Micros, as all amounts of this row.
    Column("charged", BigInteger),
    Column("refunded", BigInteger, nullable=False),
    Column("charge_id", String),
    Column("payment_method_id", String),
    Column("failure_code", String),
    Column("failure_detail", String),
    Column("action_expires_at", DateTime(timezone=True)),
    Column("quote_id", String),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("placed_at", BigInteger, nullable=False, index=True),
    Column("position", BigInteger, nullable=False),
    Index("order_by_account", "account_id", "placed_at"),
    Index("order_by_status", "account_id", "status", "placed_at"),
)
# When something about an account's orders was written last: what a page that is open asks.
order_account = Table(
    "order_account",
    _ORDERS,
    Column("account_id", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

_NUMBERS = MetaData()
tenure = Table(
    "tenure",
    _NUMBERS,
    Column("num_id", String, primary_key=True),
    Column("number", String, nullable=False),
    Column("digits", String, nullable=False),
    Column("national", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("order_id", String, nullable=False),
    Column("offer_id", String, nullable=False),
    Column("country", String, nullable=False),
    Column("region", String, nullable=False),
    Column("city", String, nullable=False),
    Column("city_key", String, nullable=False),  # Without case and accents, to sort by.
    Column("area_code", String, nullable=False),
    Column("type", String, nullable=False),
    Column("status", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("sms", Boolean, nullable=False),
    Column("max_channels", Integer),
    Column("currency", String, nullable=False),
    Column("setup_fee", BigInteger, nullable=False),  # Micros, as all fees of this row.
    Column("monthly_fee", BigInteger, nullable=False),
    Column("per_minute", BigInteger, nullable=False),
    Column("connect_fee", BigInteger, nullable=False),
    Column("min_period_months", Integer, nullable=False),
    Column("billing_increments", String, nullable=False),
    Column("start_date", String, nullable=False),  # ISO 8601, as all days of this row.
    Column("paid_until", String),
    Column("min_period_ends", String, nullable=False),
    Column("description", String, nullable=False),
    Column("description_version", Integer, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("labels_version", Integer),
    Column("label_keys", String, nullable=False),  # "\nvip\ninbound\n": labels without case.
    Column("searched", String, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("begun_at", BigInteger, nullable=False, index=True),
    Column("position", BigInteger, nullable=False),
    Index("tenure_by_account", "account_id", "begun_at"),
    Index("tenure_by_number", "number", "begun_at"),
    Index("tenure_by_status", "account_id", "status", "country"),
)
# The account's time zone, and when something about its numbers was written last.
number_account = Table(
    "number_account",
    _NUMBERS,
    Column("account_id", String, primary_key=True),
    Column("time_zone", String, nullable=False),
    Column("position", BigInteger, nullable=False),
)
_NO_ZONE = "UTC"


def _fold_order(event: Happened, rows: Rows) -> None:
    message = event.message
    if isinstance(message, OrderPlaced):
        rows.put(customer_order, order_rows.placed(message, event.at, event.position))
    elif message.order_id and rows.get(customer_order, message.order_id) is not None:
        row = rows.change(customer_order, message.order_id)
        order_rows.change(row, message, event.at, event.position)
    else:
        return  # A quote is a hold without an order.
    rows.put(order_account, {"account_id": message.account_id, "position": event.position})


def _order_of(message: Any) -> Iterable[tuple[Table, Key]]:
    if message.order_id:
        yield customer_order, (message.order_id,)


def _fold_number(event: Happened, rows: Rows) -> None:
    message = event.message
    zone = _zone(message, rows)
    if isinstance(message, NumberPurchased):
        rows.put(tenure, number_rows.purchased(message, event.at, event.position, zone))
    elif not isinstance(message, AccountOpened):
        row = rows.change(tenure, message.num_id)
        number_rows.change(row, message, event.at, event.position, event.stored.version)
    known = {"account_id": message.account_id, "time_zone": zone, "position": event.position}
    rows.put(number_account, known)


def _zone(message: Any, rows: Rows) -> str:
    if isinstance(message, AccountOpened):
        return message.time_zone
    known = rows.get(number_account, message.account_id)
    return known["time_zone"] if known else _NO_ZONE


def _tenure_of(message: Any) -> Iterable[tuple[Table, Key]]:
    yield number_account, (message.account_id,)
    if not isinstance(message, AccountOpened):
        yield tenure, (message.num_id,)


_NUMBER_EVENTS = (AccountOpened, *number_rows.EVENTS)
ORDERS = Projection(
    "orders", 2, _ORDERS, order_rows.EVENTS, _fold_order, _order_of, order_rows.ENDING
)
NUMBERS = Projection("numbers", 2, _NUMBERS, _NUMBER_EVENTS, _fold_number, _tenure_of)

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
)


def _fold_order(event: Happened, rows: Rows) -> None:
    message = event.message
    if isinstance(message, OrderPlaced):
        rows.put(customer_order, order_rows.placed(message, event.at, event.position))
    elif message.order_id and rows.get(customer_order, message.order_id) is not None:
        row = rows.change(customer_order, message.order_id)
        order_rows.change(row, message, event.at, event.position)


def _order_of(message: Any) -> Iterable[tuple[Table, Key]]:
    if message.order_id:  # A quote is a hold without an order.
        yield customer_order, (message.order_id,)


def _fold_number(event: Happened, rows: Rows) -> None:
    message = event.message
    if isinstance(message, NumberPurchased):
        rows.put(tenure, number_rows.purchased(message, event.at, event.position))
        return
    row = rows.change(tenure, message.num_id)
    number_rows.change(row, message, event.at, event.position, event.stored.version)


def _tenure_of(message: Any) -> Iterable[tuple[Table, Key]]:
    yield tenure, (message.num_id,)


ORDERS = Projection("orders", 1, _ORDERS, order_rows.EVENTS, _fold_order, _order_of)
NUMBERS = Projection("numbers", 1, _NUMBERS, number_rows.EVENTS, _fold_number, _tenure_of)

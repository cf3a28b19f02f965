"""What billing shows: accounts, cards, and charges with their refunds.

The views are local and disposable, so personal fields stand in them as opened text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

from services.billing import charge_rows
from services.billing.messages import (
    AccountOpened,
    ChargeActionRequired,
    ChargeDeferred,
    ChargeFailed,
    ChargeRefunded,
    ChargeRefundFailed,
    ChargeRefundRequested,
    ChargeRequested,
    ChargeSucceeded,
    ChargeUnknown,
    DefaultPaymentMethodChanged,
    DeferredChargeClaimed,
    DeferredChargeReleased,
    DeferredChargeSettled,
    OwedPaymentRequested,
    PaymentMethodAdded,
    PaymentMethodRemoved,
)
from shared.consumers.projections import Projection
from shared.consumers.rows import Key, Row, Rows
from shared.happened import Happened

_ACCOUNTS = MetaData()
account = Table(
    "billing_account",
    _ACCOUNTS,
    Column("account_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("email", String, nullable=False),
    Column("country", String, nullable=False),
    Column("time_zone", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False, index=True),
)

_CARDS = MetaData()
card = Table(
    "billing_payment_method",
    _CARDS,
    Column("payment_method_id", String, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("brand", String, nullable=False),
    Column("last4", String, nullable=False),
    Column("exp_month", Integer, nullable=False),
    Column("exp_year", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)
default_card = Table(
    "billing_payment_method_default",
    _CARDS,
    Column("account_id", String, primary_key=True),
    Column("payment_method_id", String),
)

_CHARGES = MetaData()
charge = Table(
    "billing_charge",
    _CHARGES,
    Column("charge_id", String, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("order_id", String, nullable=False, index=True),  # "": it pays what is owed.
    Column("status", String, nullable=False),
    Column("amount_micros", BigInteger),  # NULL: nothing was asked of anybody.
    Column("currency", String),
    Column("payment_method_id", String, index=True),
    Column("receipt_url", String),
    Column("failure_code", String),
    Column("failure_detail", String),
    Column("refunds", JSON, nullable=False),
    Column("pays", JSON, nullable=False),  # The deferred charges that this one pays.
    Column("paid_by", String),  # The charge that pays, or has paid, this deferred one.
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
    Index("billing_charge_of_account", "account_id", "position"),
    Index("billing_charge_by_status", "account_id", "status"),
)


def _fold_account(event: Happened, rows: Rows) -> None:
    opened: AccountOpened = event.message
    row = {
        "account_id": opened.account_id,
        "name": str(opened.name),
        "email": str(opened.email),
        "country": opened.country,
        "time_zone": opened.time_zone,
        "currency": opened.currency,
        "created_at": event.at,
        "position": event.position,
    }
    rows.put(account, row)


def _fold_card(event: Happened, rows: Rows) -> None:
    match event.message:
        case PaymentMethodAdded() as added:
            rows.put(card, _card_row(added, event.position))
            if added.default:
                _put_default(rows, added.account_id, added.payment_method_id)
        case DefaultPaymentMethodChanged() as changed:
            _put_default(rows, changed.account_id, changed.payment_method_id)
        case PaymentMethodRemoved() as removed:
            rows.drop(card, removed.payment_method_id)
            default = rows.get(default_card, removed.account_id) or {}
            if default.get("payment_method_id") == removed.payment_method_id:
                _put_default(rows, removed.account_id, removed.new_default)


def _put_default(rows: Rows, account_id: str, payment_method_id: str | None) -> None:
    rows.put(default_card, {"account_id": account_id, "payment_method_id": payment_method_id})


def _card_row(added: PaymentMethodAdded, position: int) -> Row:
    return {
        "payment_method_id": added.payment_method_id,
        "account_id": added.account_id,
        "brand": added.brand,
        "last4": added.last4,
        "exp_month": added.exp_month,
        "exp_year": added.exp_year,
        "position": position,
    }


def _touched_cards(message: Any) -> Iterable[tuple[Table, Key]]:
    if isinstance(message, PaymentMethodRemoved):
        yield default_card, (message.account_id,)


def _fold_charge(event: Happened, rows: Rows) -> None:
    charge_id = event.message.charge_id
    if rows.get(charge, charge_id) is None:
        rows.put(charge, charge_rows.fresh(event))
    row = rows.change(charge, charge_id)
    row["updated_at"] = event.at
    charge_rows.change(row, event.message, event.at)


def _touched_charges(message: Any) -> Iterable[tuple[Table, Key]]:
    yield charge, (message.charge_id,)


ACCOUNTS = Projection("accounts", 1, _ACCOUNTS, (AccountOpened,), _fold_account)
PAYMENT_METHODS = Projection(
    "payment_methods",
    1,
    _CARDS,
    (PaymentMethodAdded, DefaultPaymentMethodChanged, PaymentMethodRemoved),
    _fold_card,
    _touched_cards,
)
CHARGES = Projection(
    "charges",
    2,
    _CHARGES,
    (
        ChargeRequested,
        ChargeSucceeded,
        ChargeFailed,
        ChargeActionRequired,
        ChargeUnknown,
        ChargeRefundRequested,
        ChargeRefunded,
        ChargeRefundFailed,
        ChargeDeferred,
        OwedPaymentRequested,
        DeferredChargeClaimed,
        DeferredChargeReleased,
        DeferredChargeSettled,
    ),
    _fold_charge,
    _touched_charges,
)
PROJECTIONS = (ACCOUNTS, PAYMENT_METHODS, CHARGES)

"""What an account owes because it was too little to be charged, and whether it can be paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from services.billing.domain import minimum
from services.billing.domain.account import Account
from services.billing.domain.charge_state import BEING_PAID, COLLECTING, OPEN, OWED, Charge
from services.billing.messages import PayOwed
from services.billing.projections import charge
from services.billing.queries import refunded_micros, time_text
from shared.money import Money
from shared.refusals import refusal
from shared.stores import Store

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owed:
    """What an account owes in one currency: ``open`` is the sum of what no payment has taken on;
    ``charges`` are its rows, the oldest first. ``payments`` have not ended yet."""

    open: Money
    being_paid: Money
    charges: tuple[Answer, ...]
    payments: tuple[str, ...]

    @property
    def missing(self) -> Money:
        """What lacks to what can be charged at once."""
        return minimum.missing(self.open)

    def as_json(self) -> Answer:
        """As RPC shows it."""
        return {
            "currency": self.open.currency,
            "owed": self.open.as_json(),
            "being_paid": self.being_paid.as_json(),
            "minimum": minimum.minimum(self.open.currency).as_json(),
            "missing": self.missing.as_json(),
            "payable": not self.missing.micros and not self.payments,
            "payments": list(self.payments),
            "charges": list(self.charges),
        }


def owed_by_currency(views: Store, account_id: str) -> dict[str, Owed]:
    """What the account owes, by currency: those in which it owes something, or a payment runs."""
    wanted = [OWED, BEING_PAID, *sorted(OPEN)]
    query = select(charge).where(charge.c.account_id == account_id, charge.c.status.in_(wanted))
    with views.read() as connection:
        found = list(connection.execute(query.order_by(charge.c.position)).mappings())
    rows = [row for row in found if _counts(row)]
    return {code: _owed(rows, code) for code in sorted({row["currency"] for row in rows})}


def owed(views: Store, account_id: str, currency: str) -> Owed:
    """What the account owes in this currency."""
    return owed_by_currency(views, account_id).get(currency) or _owed([], currency)


def _counts(row: Any) -> bool:
    # Of the charges that wait for their outcome, those of orders are no debt.
    return bool(row["pays"]) if row["status"] in OPEN else _left(row) > 0


def _left(row: Any) -> int:
    left: int = row["amount_micros"] - refunded_micros(row, "requested", "refunded")
    return left


def _owed(rows: list[Any], currency: str) -> Owed:
    mine = [row for row in rows if row["currency"] == currency]

    def total(status: str) -> Money:
        return Money(sum(_left(row) for row in mine if row["status"] == status), currency)

    return Owed(
        open=total(OWED),
        being_paid=total(BEING_PAID),
        charges=tuple(_charge(row) for row in mine if row["status"] not in OPEN),
        payments=tuple(row["charge_id"] for row in mine if row["status"] in OPEN),
    )


def _charge(row: Any) -> Answer:
    return {
        "charge_id": row["charge_id"],
        "order_id": row["order_id"],
        "amount": Money(_left(row), row["currency"]).as_json(),
        "status": row["status"],
        "paid_by": row["paid_by"],
        "since": time_text(row["created_at"]),
    }


def payment_of(found: Owed, payment_id: str, owner: Account, named: str | None) -> PayOwed:
    """The command that pays all of it. Raises ``balance_being_paid``, ``nothing_owed``,
    ``below_minimum``, ``payment_method_unknown``, ``payment_method_required``."""
    if found.payments:
        raise refusal("balance_being_paid")
    if not found.open.micros:
        raise refusal("nothing_owed", param="currency")
    if found.missing.micros:
        detail = f"{found.open} {found.open.currency} are owed; {found.missing} are missing."
        raise refusal("below_minimum", detail, param="currency")
    if owner.chargeable(named) is None:
        code = "payment_method_unknown" if named else "payment_method_required"
        raise refusal(code, param="payment_method_id")
    return PayOwed(
        charge_id=payment_id,
        account_id=owner.account_id,
        amount=found.open,
        charges=tuple(row["charge_id"] for row in found.charges if row["status"] == OWED),
        payment_method_id=named,
    )


def begun(state: Charge, position: int) -> Answer:
    """A payment that has begun, as it stands."""
    return {
        "id": state.charge_id,
        "account_id": state.account_id,
        "kind": "balance",
        "order_id": None,
        "status": "requested" if state.status == COLLECTING else state.status,
        "amount": state.amount.as_json(),
        "pays": list(state.covers),
        "position": position,
    }

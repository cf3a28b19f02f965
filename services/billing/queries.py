"""How the views of billing are asked. Answers are JSON-ready: money as decimal text, times as RFC
3339 with ``Z``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, Table, bindparam, func, select

from services.billing.domain.charge_state import OPEN
from services.billing.projections import account, card, charge, default_card
from shared.money import Money
from shared.refusals import refusal
from shared.stores import Store

Answer = dict[str, Any]
_MOST = 100


def one_account(views: Store, account_id: str) -> Answer:
    """Raises ``account_unknown``."""
    row = _first(views, _one_account, wanted=account_id)
    if row is None:
        raise refusal("account_unknown")
    return _account(row)


_one_account = select(account).where(account.c.account_id == bindparam("wanted"))


def accounts(views: Store, limit: int, after: str | None) -> Answer:
    """All accounts, the newest first, each with how many cards it has."""
    cards = select(func.count()).where(card.c.account_id == account.c.account_id).scalar_subquery()
    query = select(account, cards.label("cards"))
    return _page(views, query, account, _account_with_cards, limit, after)


def cards(views: Store, account_id: str) -> list[Answer]:
    """The cards of an account in the order they were added."""
    return [_card(row._asdict()) for row in views.ask(_cards, {"of": account_id})]


_cards = (
    select(card, default_card.c.payment_method_id.label("default_id"))
    .join(default_card, default_card.c.account_id == card.c.account_id, isouter=True)
    .where(card.c.account_id == bindparam("of"))
    .order_by(card.c.position)
)


def is_being_charged(views: Store, payment_method_id: str) -> bool:
    """Whether a charge of this card still waits for its outcome."""
    query = select(charge.c.charge_id).where(
        charge.c.payment_method_id == payment_method_id, charge.c.status.in_(sorted(OPEN))
    )
    return _first(views, query.limit(1)) is not None


def one_charge(views: Store, charge_id: str, account_id: str | None) -> Answer:
    """A charge of the account (``None``: of any). Raises ``charge_unknown``."""
    query = select(charge).where(charge.c.charge_id == charge_id)
    row = _first(views, _of(query, account_id))
    if row is None:
        raise refusal("charge_unknown")
    return _charge(row)


def charges(
    views: Store, account_id: str | None, order_id: str | None, limit: int, after: str | None
) -> Answer:
    """Charges of the account (``None``: of all), and of the order if one is named; newest first."""
    query = _of(select(charge), account_id)
    if order_id is not None:
        query = query.where(charge.c.order_id == order_id)
    return _page(views, query, charge, _charge, limit, after)


def _of(query: Select[Any], account_id: str | None) -> Select[Any]:
    return query if account_id is None else query.where(charge.c.account_id == account_id)


def _first(views: Store, query: Select[Any], **wanted: Any) -> Any:
    for row in views.ask(query, wanted):
        return row._asdict()
    return None


def _page(
    views: Store,
    query: Select[Any],
    table: Table,
    answer: Callable[[Any], Answer],
    limit: int,
    after: str | None,
) -> Answer:
    if not 1 <= limit <= _MOST:
        raise refusal("invalid_value", "limit is from 1 to 100.", param="limit")
    if after is not None:
        query = query.where(table.c.position < _position(after))
    query = query.order_by(table.c.position.desc()).limit(limit + 1)
    with views.read() as connection:
        rows = list(connection.execute(query).mappings())
    more = len(rows) > limit
    data = [answer(row) for row in rows[:limit]]
    return {"data": data, "next": _cursor(rows[limit - 1]["position"]) if more else None}


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _position(cursor: str) -> int:
    try:
        place = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        place = -1
    if not 0 <= place < 2**63:
        raise refusal("invalid_cursor", param="cursor")
    return place


def time_text(at: datetime) -> str:
    """RFC 3339, UTC, ``Z``. SQLite gives times back without a zone; all of ours are UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _account(row: Any) -> Answer:
    names = ("name", "email", "country", "time_zone", "currency")
    created = {"created_at": time_text(row["created_at"])}
    return {"id": row["account_id"], **{n: row[n] for n in names}, **created}


def _account_with_cards(row: Any) -> Answer:
    return _account(row) | {"cards": row["cards"]}


def _card(row: Any) -> Answer:
    names = ("brand", "last4", "exp_month", "exp_year")
    default = row["payment_method_id"] == row["default_id"]
    return {"id": row["payment_method_id"], **{n: row[n] for n in names}, "default": default}


def _charge(row: Any) -> Answer:
    code = row["failure_code"]
    return {
        "id": row["charge_id"],
        "account_id": row["account_id"],
        "kind": "order" if row["order_id"] else "balance",
        "order_id": row["order_id"] or None,
        "status": row["status"],
        "amount": _money(row["amount_micros"], row["currency"]),
        "refunded_total": _money(refunded_micros(row, "refunded"), row["currency"]),
        "refunds": [_refund(refund, row["currency"]) for refund in row["refunds"]],
        "pays": row["pays"],
        "paid_by": row["paid_by"],
        "payment_method_id": row["payment_method_id"],
        "receipt_url": row["receipt_url"],
        "failure": {"code": code, "detail": row["failure_detail"]} if code else None,
        "created_at": time_text(row["created_at"]),
        "updated_at": time_text(row["updated_at"]),
    }


def _refund(refund: Answer, currency: str) -> Answer:
    return {
        "id": refund["id"],
        "amount": _money(refund["micros"], currency),
        "status": refund["status"],
        "failure": refund["failure"],
        "created_at": time_text(datetime.fromisoformat(refund["created_at"])),
    }


def refunded_micros(row: Any, *statuses: str) -> int:
    """Micros of the refunds with these statuses."""
    return sum(r["micros"] for r in row["refunds"] if r["status"] in statuses)


def _money(micros: int | None, currency: str | None) -> Answer | None:
    return None if micros is None or currency is None else Money(micros, currency).as_json()

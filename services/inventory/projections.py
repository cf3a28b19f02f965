"""What is for sale: offers with their counts, blocks, and the numbers that are not available.

An untouched number has no row: it is available when a block covers it and no row says otherwise.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    and_,
)

from services.inventory.messages import (
    BlockRepriced,
    BlockWithdrawn,
    HoldAwaitsStock,
    HoldPinned,
    HoldReleased,
    NumberAllocated,
    NumberBlockStocked,
    NumberHeld,
    NumberQuarantined,
    NumberReleased,
    NumberReturnedToStock,
    Place,
    Terms,
)
from shared import phone
from shared.consumers.projections import Projection
from shared.consumers.rows import Key, Rows
from shared.happened import Happened

TABLES = MetaData()
offer = Table(
    "offer",
    TABLES,
    Column("offer_id", String, primary_key=True),
    Column("country", String, nullable=False),
    Column("region", String, nullable=False),
    Column("city", String, nullable=False),
    Column("city_fold", String, nullable=False),
    Column("area_code", String, nullable=False),
    Column("type", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("setup_fee", BigInteger, nullable=False),
    Column("monthly_fee", BigInteger, nullable=False),
    Column("per_minute", BigInteger, nullable=False),
    Column("connect_fee", BigInteger, nullable=False),
    Column("min_period_months", Integer, nullable=False),
    Column("billing_increments", String, nullable=False),
    Column("sms", Boolean, nullable=False),
    Column("blocks", Integer, nullable=False),
    Column("available", Integer, nullable=False),
    Index("offer_search", "country", "city_fold", "prefix", "offer_id"),
)
block = Table(
    "block",
    TABLES,
    Column("block_id", String, primary_key=True),
    Column("first", BigInteger, nullable=False, index=True),
    Column("last", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("offer_id", String, nullable=False, index=True),
    Column("available", Integer, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("fixed", String, nullable=False),  # The digits all its numbers begin with.
    Column("free_digits", Integer, nullable=False),  # How many digits follow them.
)
taken = Table(
    "taken_number",
    TABLES,
    Column("number", String, primary_key=True),
    Column("block_id", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("hold_id", String, nullable=False),
    Column("num_id", String, nullable=False),
    Column("until", DateTime(timezone=True)),
    Index("taken_by_account", "account_id", "status"),
)
awaiting = Table(
    "hold_awaiting",
    TABLES,
    Column("hold_id", String, primary_key=True),
    Column("country", String, nullable=False, index=True),
    Column("since", BigInteger, nullable=False),  # The position of the event that began it.
)
# What can be bought: condition on blocks.
ON_SALE = and_(block.c.available > 0, block.c.withdrawn.is_(False))


def fold_city(name: str) -> str:
    """A city's name for comparing: without accents and case."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def fold(event: Happened, rows: Rows) -> None:
    """One event into the rows."""
    match event.message:
        case NumberBlockStocked() as e:
            _stocked(e, rows)
        case BlockRepriced() as e:
            _repriced(e, rows)
        case BlockWithdrawn() as e:
            _withdrawn(e, rows)
        case NumberHeld() as e:
            _held(e, rows)
        case NumberReleased() | NumberReturnedToStock() as e:
            _back(e.number, rows)
        case NumberAllocated() as e:
            _status(e.number, rows, "allocated", num_id=e.num_id)
        case NumberQuarantined() as e:
            _status(e.number, rows, "quarantined", until=e.until, hold_id="", account_id="")
        case HoldAwaitsStock() as e:
            _awaits(e, event.position, rows)
        case HoldPinned() | HoldReleased() as e:
            if rows.get(awaiting, e.hold_id) is not None:
                rows.drop(awaiting, e.hold_id)


def _awaits(e: HoldAwaitsStock, position: int, rows: Rows) -> None:
    # A try in vain does not send anybody back to the end of the queue.
    if rows.get(awaiting, e.hold_id) is None:
        row = {"hold_id": e.hold_id, "country": e.country, "since": position}
        rows.put(awaiting, row)


def _stocked(e: NumberBlockStocked, rows: Rows) -> None:
    first = int(e.block_id)
    taken_before = rows.get(block, e.block_id)
    gone = taken_before["size"] - taken_before["available"] if taken_before else 0
    last = first + e.count - 1
    fixed = _common(str(first), str(last))
    row = {
        "block_id": e.block_id,
        "first": first,
        "last": last,
        "size": e.count,
        "offer_id": e.offer_id,
        "available": e.count - gone,
        "withdrawn": False,
        "fixed": fixed,
        "free_digits": len(str(last)) - len(fixed),
    }
    rows.put(block, row)
    _enter(e.offer_id, e.place, e.terms, row, rows)


def _common(first: str, last: str) -> str:
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=True)) if a != b), len(first))
    return first[:same]


def _enter(offer_id: str, place: Place, terms: Terms, of: dict[str, Any], rows: Rows) -> None:
    if rows.get(offer, offer_id) is None:
        rows.put(offer, _offer_row(offer_id, place, terms, str(of["block_id"])))
    row = rows.change(offer, offer_id)
    row["blocks"] += 1
    row["available"] += of["available"]


def _offer_row(offer_id: str, place: Place, terms: Terms, number: str) -> dict[str, Any]:
    return {
        "offer_id": offer_id,
        "country": place.country,
        "region": place.region,
        "city": place.city,
        "city_fold": fold_city(place.city),
        "area_code": place.area_code,
        "type": place.type,
        "prefix": f"+{phone.country_code(number)}{place.area_code}",
        "currency": terms.currency,
        "setup_fee": terms.setup_fee,
        "monthly_fee": terms.monthly_fee,
        "per_minute": terms.per_minute,
        "connect_fee": terms.connect_fee,
        "min_period_months": terms.min_period_months,
        "billing_increments": terms.billing_increments,
        "sms": terms.sms,
        "blocks": 0,
        "available": 0,
    }


def _leave(of: dict[str, Any], rows: Rows) -> None:
    row = rows.change(offer, of["offer_id"])
    row["blocks"] -= 1
    row["available"] -= of["available"]


def _repriced(e: BlockRepriced, rows: Rows) -> None:
    row = rows.change(block, e.block_id)
    _leave(row, rows)
    row["offer_id"] = e.offer_id
    _enter(e.offer_id, e.place, e.terms, row, rows)


def _withdrawn(e: BlockWithdrawn, rows: Rows) -> None:
    row = rows.change(block, e.block_id)
    _leave(row, rows)
    row["withdrawn"] = True


def _held(e: NumberHeld, rows: Rows) -> None:
    row = {
        "number": e.number,
        "block_id": e.block_id,
        "status": "held",
        "account_id": e.account_id,
        "hold_id": e.hold_id,
        "num_id": "",
        "until": None,
    }
    rows.put(taken, row)
    _count(e.block_id, -1, rows)


def _count(block_id: str, by: int, rows: Rows) -> None:
    row = rows.change(block, block_id)
    row["available"] += by
    if not row["withdrawn"]:
        rows.change(offer, row["offer_id"])["available"] += by


def _back(number: str, rows: Rows) -> None:
    row = rows.get(taken, number)
    if row is not None:
        rows.drop(taken, number)
        _count(row["block_id"], 1, rows)


def _status(number: str, rows: Rows, status: str, **more: Any) -> None:
    rows.change(taken, number).update(status=status, **more)


def touches(message: Any) -> Iterable[tuple[Table, Key]]:
    """The rows a message asks for, so that a batch loads them together."""
    if hasattr(message, "number"):
        yield taken, (message.number,)
    if hasattr(message, "block_id"):
        yield block, (message.block_id,)
    if hasattr(message, "offer_id"):
        yield offer, (message.offer_id,)
    if isinstance(message, HoldAwaitsStock | HoldPinned | HoldReleased):
        yield awaiting, (message.hold_id,)


STOCK = Projection(
    "stock",
    1,
    TABLES,
    (
        NumberBlockStocked,
        BlockRepriced,
        BlockWithdrawn,
        NumberHeld,
        NumberReleased,
        NumberReturnedToStock,
        NumberAllocated,
        NumberQuarantined,
        HoldAwaitsStock,
        HoldPinned,
        HoldReleased,
    ),
    fold,
    touches,
)

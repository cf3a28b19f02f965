"""What is for sale: offers with their counts, blocks, the numbers that are not available, and how
the counts changed each day. The tables are in ``tables.py``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import Table

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
from services.inventory.tables import (
    ON_SALE,
    TABLES,
    awaiting,
    block,
    offer,
    stock_day,
    taken,
)
from shared import phone
from shared.consumers.projections import Projection
from shared.consumers.rows import Key, Rows
from shared.happened import Happened

__all__ = [
    "ON_SALE",
    "STOCK",
    "TABLES",
    "awaiting",
    "block",
    "fold_city",
    "offer",
    "stock_day",
    "taken",
]


def fold_city(name: str) -> str:
    """A city's name for comparing: without accents and case."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def fold(event: Happened, rows: Rows) -> None:
    """One event into the rows."""
    day = event.at.date()
    match event.message:
        case NumberBlockStocked() as e:
            _stocked(e, day, rows)
        case BlockRepriced() as e:
            _repriced(e, day, rows)
        case BlockWithdrawn() as e:
            _withdrawn(e, day, rows)
        case NumberHeld() as e:
            _held(e, day, rows)
        case NumberReleased() | NumberReturnedToStock() as e:
            _back(e.number, day, rows)
        case NumberAllocated() as e:
            _status(e.number, day, rows, "allocated", num_id=e.num_id)
        case NumberQuarantined() as e:
            _status(e.number, day, rows, "quarantined", until=e.until, hold_id="", account_id="")
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


def _stocked(e: NumberBlockStocked, day: date, rows: Rows) -> None:
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
    _enter(e, row, day, rows)


def _common(first: str, last: str) -> str:
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=True)) if a != b), len(first))
    return first[:same]


def _enter(
    e: NumberBlockStocked | BlockRepriced, of: dict[str, Any], day: date, rows: Rows
) -> None:
    if rows.get(offer, e.offer_id) is None:
        rows.put(offer, _offer_row(e.offer_id, e.place, e.terms, str(of["block_id"])))
    row = rows.change(offer, e.offer_id)
    row["blocks"] += 1
    _sell(row, of["available"], day, rows)


def _sell(of_offer: dict[str, Any], more: int, day: date, rows: Rows) -> None:
    of_offer["available"] += more
    _on(day, of_offer, rows)["available"] += more


def _on(day: date, where: dict[str, Any], rows: Rows) -> dict[str, Any]:
    """The day's row of a country and type: those of an offer or of a number."""
    key = (day, where["country"], where["type"])
    if rows.get(stock_day, *key) is None:
        named = dict(zip(("day", "country", "type"), key, strict=True))
        counts = {"available": 0, "held": 0, "allocated": 0, "quarantined": 0}
        rows.put(stock_day, named | counts)
    return rows.change(stock_day, *key)


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


def _leave(of: dict[str, Any], day: date, rows: Rows) -> None:
    row = rows.change(offer, of["offer_id"])
    row["blocks"] -= 1
    _sell(row, -of["available"], day, rows)


def _repriced(e: BlockRepriced, day: date, rows: Rows) -> None:
    row = rows.change(block, e.block_id)
    _leave(row, day, rows)
    row["offer_id"] = e.offer_id
    _enter(e, row, day, rows)


def _withdrawn(e: BlockWithdrawn, day: date, rows: Rows) -> None:
    row = rows.change(block, e.block_id)
    _leave(row, day, rows)
    row["withdrawn"] = True


def _held(e: NumberHeld, day: date, rows: Rows) -> None:
    of_offer = _count(e.block_id, -1, day, rows)
    row = {
        "number": e.number,
        "block_id": e.block_id,
        "status": "held",
        "account_id": e.account_id,
        "hold_id": e.hold_id,
        "num_id": "",
        "until": None,
        "country": of_offer["country"],
        "type": of_offer["type"],
    }
    rows.put(taken, row)
    _on(day, row, rows)["held"] += 1


def _count(block_id: str, by: int, day: date, rows: Rows) -> dict[str, Any]:
    row = rows.change(block, block_id)
    row["available"] += by
    of_offer = rows.change(offer, row["offer_id"])
    if not row["withdrawn"]:
        _sell(of_offer, by, day, rows)
    return of_offer


def _back(number: str, day: date, rows: Rows) -> None:
    row = rows.get(taken, number)
    if row is not None:
        rows.drop(taken, number)
        _on(day, row, rows)[row["status"]] -= 1
        _count(row["block_id"], 1, day, rows)


def _status(number: str, day: date, rows: Rows, status: str, **more: Any) -> None:
    row = rows.change(taken, number)
    counts = _on(day, row, rows)
    counts[row["status"]] -= 1
    counts[status] += 1
    row.update(status=status, **more)


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
    2,
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

"""Which numbers a hold goes for: those the view shows as available, in an order of its own.

The order is shuffled by the hold's id; else all buyers would fight for the first number (47 % gave
up in a measurement). A candidate that is refused is replaced by the next one; ``number_gone`` only
when none is left.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from services.inventory.matching import taken_among
from services.inventory.messages import Item, Place, Terms
from services.inventory.projections import ON_SALE, block, offer
from shared.refusals import refusal

_TOGETHER = 16  # A quantity is at most 10, and most candidates are free.


@dataclass(frozen=True, slots=True)
class Candidate:
    """A number that may be free, and what it is sold as."""

    number: str
    block_id: str
    offer_id: str
    place: Place
    terms: Terms


def place_of(row: Row[Any]) -> Place:
    """Where the numbers of an offer are from."""
    return Place(
        country=row.country,
        region=row.region,
        city=row.city,
        area_code=row.area_code,
        type=row.type,
    )


def terms_of(row: Row[Any]) -> Terms:
    """What the numbers of an offer cost."""
    return Terms(
        currency=row.currency,
        setup_fee=row.setup_fee,
        monthly_fee=row.monthly_fee,
        per_minute=row.per_minute,
        connect_fee=row.connect_fee,
        min_period_months=row.min_period_months,
        billing_increments=row.billing_increments,
        sms=row.sms,
    )


def free_terms(terms: Terms) -> Terms:
    """The account's free number: no set-up and no monthly fee; usage is billed."""
    return Terms(
        currency=terms.currency,
        setup_fee=0,
        monthly_fee=0,
        per_minute=terms.per_minute,
        connect_fee=terms.connect_fee,
        min_period_months=terms.min_period_months,
        billing_increments=terms.billing_increments,
        sms=terms.sms,
    )


_one_offer = select(offer).where(offer.c.offer_id == bindparam("wanted"))
_its_blocks = (
    select(block).where(block.c.offer_id == bindparam("wanted"), ON_SALE).order_by(block.c.first)
)


def offer_of(connection: Connection, item: Item) -> Row[Any] | None:
    """The offer an item asks for. Raises ``offer_unknown``, ``offer_changed`` (its blocks are sold
    at other terms now) and ``number_gone`` (a number that is not for sale); ``None`` where no free
    number is in stock."""
    if item.free_in is not None:
        return _cheapest(connection, item.free_in)
    if item.number is not None:
        return _offer_of_number(connection, item.number)
    found = connection.execute(_one_offer, {"wanted": item.offer_id}).first()
    if found is None:
        raise refusal("offer_unknown", f"There is no offer {item.offer_id}.", param="items")
    if found.blocks == 0:
        raise refusal("offer_changed", param="items")
    return found


def _cheapest(connection: Connection, country: str) -> Row[Any] | None:
    first = (
        select(block.c.first)
        .where(block.c.offer_id == offer.c.offer_id, ON_SALE)
        .order_by(block.c.first)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(offer)
        .where(offer.c.country == country, offer.c.type == "geographic", offer.c.available > 0)
        .order_by(offer.c.setup_fee + offer.c.monthly_fee, first)
        .limit(1)
    )
    return connection.execute(query).first()


def _offer_of_number(connection: Connection, number: str) -> Row[Any]:
    found = _block_of(connection, number)
    if found is None:
        raise refusal("number_gone", f"{number} is not for sale.", param="items")
    query = select(offer).where(offer.c.offer_id == found.offer_id)
    return connection.execute(query).one()


def _block_of(connection: Connection, number: str) -> Row[Any] | None:
    query = (
        select(block)
        .where(block.c.first <= int(number), block.c.withdrawn.is_(False))
        .order_by(block.c.first.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return found if found is not None and int(number) <= found.last else None


def candidates(
    connection: Connection, item: Item, seed: str, first: Iterable[str] = ()
) -> Iterator[Candidate]:
    """Numbers for an item, best first. The same seed and view give the same order. ``first`` are
    numbers an earlier try went for: they may be taken by that very try."""
    sold = offer_of(connection, item)
    if sold is None:
        return
    place, terms = place_of(sold), terms_of(sold)
    if item.free_in is not None:
        terms = free_terms(terms)
    again = _again(connection, item, sold.offer_id, first)
    for number, block_id in chain(again, _numbers(connection, item, sold.offer_id, seed)):
        yield Candidate(number, block_id, sold.offer_id, place, terms)


def _again(
    connection: Connection, item: Item, offer_id: str, first: Iterable[str]
) -> Iterator[tuple[str, str]]:
    for number in first:
        found = _block_of(connection, number)
        if found and found.offer_id == offer_id and item.number in {None, number}:
            yield number, found.block_id


def _numbers(
    connection: Connection, item: Item, offer_id: str, seed: str
) -> Iterator[tuple[str, str]]:
    if item.number is not None:
        found = _block_of(connection, item.number)
        numbers = iter([(int(item.number), found.block_id)] if found is not None else [])
    else:
        blocks = list(connection.execute(_its_blocks, {"wanted": offer_id}))
        numbers = _in_order(blocks) if item.free_in else _shuffled(blocks, seed)
    yield from _untaken(connection, numbers)


def _in_order(blocks: list[Row[Any]]) -> Iterator[tuple[int, str]]:
    for one in blocks:
        yield from ((n, one.block_id) for n in range(one.first, one.last + 1))


def _shuffled(blocks: list[Row[Any]], seed: str) -> Iterator[tuple[int, str]]:
    # Blocks by chance, weighted by what they have left; within one, every number in a random order.
    chance = random.Random(seed)  # nosec B311  # Spreads buyers; no secret.
    order = sorted(blocks, key=lambda b: chance.random() ** (1 / max(1, b.available)), reverse=True)
    for one in order:
        step, start = _stride(one.size, chance), chance.randrange(one.size)
        yield from (
            (one.first + (start + k * step) % one.size, one.block_id) for k in range(one.size)
        )


def _stride(count: int, chance: random.Random) -> int:
    # A step that shares no factor with the count visits every number once, without a list.
    while True:
        step = chance.randrange(1, count + 1)
        if _coprime(step, count):
            return step


def _coprime(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a == 1


def _untaken(
    connection: Connection, numbers: Iterator[tuple[int, str]]
) -> Iterator[tuple[str, str]]:
    while some := list(islice(numbers, _TOGETHER)):
        gone = taken_among(connection, [number for number, _ in some])
        yield from ((f"+{n}", block_id) for n, block_id in some if n not in gone)

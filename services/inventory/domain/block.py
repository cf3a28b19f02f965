"""A block: consecutive numbers on sale at equal terms. It never says anything about one number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from services.inventory.messages import (
    BlockRepriced,
    BlockWithdrawn,
    NumberBlockStocked,
    Place,
    StockBlock,
    Terms,
    WithdrawBlock,
)
from shared.aggregate import Aggregate
from shared.refusals import refusal

MOST_NUMBERS = 10_000

Command = StockBlock | WithdrawBlock
Event = NumberBlockStocked | BlockRepriced | BlockWithdrawn


@dataclass(frozen=True, slots=True)
class Block:
    """What is on sale. ``count`` 0: never stocked."""

    count: int = 0
    offer_id: str = ""
    withdrawn: bool = False


def offer_id(place: Place, terms: Terms) -> str:
    """The id of what is sold here at these terms: equal for all blocks of one offer, and another
    one after a change of price, so that nobody buys at terms he did not see."""
    words = (place.country, place.region, place.city, place.area_code, place.type, terms.currency)
    amounts = (terms.setup_fee, terms.monthly_fee, terms.per_minute, terms.connect_fee)
    rest = (terms.min_period_months, terms.billing_increments, terms.sms)
    text = "\x1f".join(map(str, (*words, *amounts, *rest)))
    return "off_" + hashlib.sha256(text.encode()).hexdigest()[:20]


def stock(command: StockBlock, state: Block) -> Sequence[Event]:
    """On sale, at other terms, or nothing new. Another count would be another block."""
    if state.count and state.count != command.count:
        detail = f"{command.block_id} is stocked with {state.count} numbers, not {command.count}."
        raise refusal("block_overlap", detail, param="count")
    if not state.count or state.withdrawn:
        return [_stocked(command)]
    return [] if state.offer_id == command.offer_id else [_repriced(command)]


def _stocked(c: StockBlock) -> NumberBlockStocked:
    return NumberBlockStocked(
        block_id=c.block_id, count=c.count, offer_id=c.offer_id, place=c.place, terms=c.terms
    )


def _repriced(c: StockBlock) -> BlockRepriced:
    return BlockRepriced(block_id=c.block_id, offer_id=c.offer_id, place=c.place, terms=c.terms)


def withdraw(command: WithdrawBlock, state: Block) -> Sequence[Event]:
    """Off sale, once."""
    if not state.count:
        raise refusal("block_unknown", f"No block begins with {command.block_id}.")
    if state.withdrawn:
        return []
    return [BlockWithdrawn(block_id=command.block_id, reason=command.reason)]


def decide(command: Command, state: Block) -> Sequence[Event]:
    """Which rule a command meets."""
    match command:
        case StockBlock():
            return stock(command, state)
        case WithdrawBlock():
            return withdraw(command, state)
        case _:
            assert_never(command)


def evolve(state: Block, event: Event) -> Block:
    """What happened to the block."""
    match event:
        case NumberBlockStocked():
            return Block(event.count, event.offer_id)
        case BlockRepriced():
            return Block(state.count, event.offer_id, state.withdrawn)
        case BlockWithdrawn():
            return Block(state.count, state.offer_id, withdrawn=True)
        case _:
            assert_never(event)


AGGREGATE = Aggregate(
    category="block",
    commands=(StockBlock, WithdrawBlock),
    initial=Block(),
    key=lambda command: command.block_id,
    evolve=evolve,
    decide=decide,
    begins=(StockBlock,),
)

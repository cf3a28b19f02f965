"""The stock of a measurement: the project's own file, and as many further blocks as are wanted."""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.inventory import stock_file
from services.inventory.domain.block import offer_id
from services.inventory.messages import StockBlock

_FILE = Path(__file__).parents[1] / "deploy" / "data" / "stock.csv"
_SIZES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_SLOT = 10_000
_CENT = 10_000  # Micros.


def file_blocks() -> list[StockBlock]:
    """The blocks of deploy/data/stock.csv."""
    rows = stock_file.read(_FILE.read_text())
    return [row.command for row in rows if row.command is not None]


def more_blocks(known: Sequence[StockBlock], numbers: int, seed: str) -> list[StockBlock]:
    """So many numbers more, in blocks of 100 to 10,000 over all places of the known ones. Every
    second block is an offer of its own, by its price."""
    chance, ranges = random.Random(seed), _Ranges(known)
    found: list[StockBlock] = []
    left = numbers
    while left > 0:
        like = chance.choice(known)
        size = min(chance.choice(_SIZES), left)
        first = ranges.free_near(like, size)
        if first is None:
            continue
        found.append(_block(like, first, size, chance.randrange(2) * len(found) * _CENT))
        left -= size
    return found


def _block(like: StockBlock, first: int, size: int, dearer: int) -> StockBlock:
    terms = replace(like.terms, monthly_fee=like.terms.monthly_fee + dearer)
    return StockBlock(
        block_id=f"+{first}",
        count=size,
        offer_id=offer_id(like.place, terms),
        place=like.place,
        terms=terms,
    )


class _Ranges:
    """Which numbers are in blocks already."""

    def __init__(self, known: Sequence[StockBlock]) -> None:
        self._ranges = sorted((int(b.block_id), int(b.block_id) + b.count - 1) for b in known)

    def free_near(self, like: StockBlock, size: int) -> int | None:
        """The first of so many free numbers with the same country and area code, or ``None``."""
        for first in _slots(like):
            if self._free(first, first + size - 1):
                insort(self._ranges, (first, first + size - 1))
                return first
        return None

    def _free(self, first: int, last: int) -> bool:
        place = bisect_right(self._ranges, (first, last))
        around = self._ranges[max(0, place - 1) : place + 1]
        return all(last < low or high < first for low, high in around)


def _slots(like: StockBlock) -> Iterator[int]:
    start = int(like.block_id) // _SLOT * _SLOT
    for step in range(1, 400):
        found = start + step * _SLOT
        if len(str(found)) + 1 == len(like.block_id) and f"+{found}"[:6] == like.block_id[:6]:
            yield found


@dataclass(slots=True)
class Shelf:
    """One block and those of its numbers that are to be taken, in a random order."""

    block: StockBlock
    numbers: list[str]


def shelves(
    blocks: Sequence[StockBlock], share: float, taken: set[str], chance: random.Random
) -> list[Shelf]:
    """A share of each block's numbers, without those that are taken."""
    made = [Shelf(block, _some(block, share, taken, chance)) for block in blocks]
    return [shelf for shelf in made if shelf.numbers]


def _some(block: StockBlock, share: float, taken: set[str], chance: random.Random) -> list[str]:
    first = int(block.block_id)
    free = [f"+{n}" for n in range(first, first + block.count) if f"+{n}" not in taken]
    return chance.sample(free, min(len(free), round(share * block.count)))

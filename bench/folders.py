"""The folders that measurements begin with, and how much is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.filling import Filler
from bench.stock import file_blocks, more_blocks


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is filled in: purchases of the usual folder, numbers of the wide one, events of the
    long one."""

    purchases: int = 20_000
    numbers: int = 2_000_000
    events: int = 500_000
    accounts: int = 200


QUICK = Sizes(purchases=1_000, numbers=250_000, events=60_000, accounts=20)
SHARE = 0.3  # Of all numbers: taken.


def fill_usual(folder: Path, sizes: Sizes) -> None:
    """The stock of the project's file, 30 % of it taken, most of it by purchases."""
    stock, filler = file_blocks(), Filler(folder)
    filler.add_accounts(sizes.accounts)
    filler.add_stock(stock)
    filler.hold(filler.buy(sizes.purchases, stock, SHARE))
    filler.build_views()
    filler.close()


def fill_wide(folder: Path, sizes: Sizes) -> None:
    """Of a usual folder: up to so many numbers, 30 % taken."""
    known, filler = file_blocks(), Filler(folder, "wide")
    have = sum(block.count for block in known)
    stock = more_blocks(known, sizes.numbers - have, "wide")
    filler.add_accounts(sizes.accounts)
    filler.add_stock(stock)
    filler.hold_share(stock, SHARE)
    filler.build_views()
    filler.close()


def fill_long(folder: Path, sizes: Sizes) -> None:
    """Of a usual folder: at least so many events. The views are not built."""
    filler = Filler(folder, "long")
    filler.add_accounts(sizes.accounts)
    log = filler.assembly.runtime.application.log
    while (left := sizes.events - log.head()) > 0:
        filler.build_views()
        filler.buy(max(1, left // 16), file_blocks(), SHARE)
    filler.close()

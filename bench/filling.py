"""Fills a data folder: accounts, stock, purchases as the product records them, held numbers.

What is written is what the services' own rules decide (``writing.py``), so every stream folds and
every view can be built. The policies' and effects' places are put to the end of it, because their
answers are in the log already.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import select

from bench import commands
from bench.commands import Buyer
from bench.stock import Shelf, shelves
from bench.writing import Told, Writer
from deploy.assembly import Assembly, assemble
from deploy.ground import all_specs
from services.billing.domain import account as accounts
from services.billing.domain import charge as charges
from services.billing.messages import (
    RecordChargeSucceeded,
)
from services.billing.policies import charge_id_of
from services.inventory.domain import block as blocks
from services.inventory.domain import hold as holds
from services.inventory.domain import stock as numbers
from services.inventory.holding import tenure_id
from services.inventory.messages import (
    AllocatedNumber,
    AllocateNumber,
    AskHold,
    HeldLine,
    Item,
    PinHold,
    RecordAllocated,
    RecordHeld,
    StockBlock,
)
from services.inventory.projections import taken
from services.orders.domain import order as orders
from services.orders.domain import tenure as tenures
from services.orders.messages import (
    DescribeNumber,
    FulfilOrder,
    RecordPaid,
    ReserveOrder,
)
from services.routing.domain import route as routes
from services.routing.messages import ChangeLabels, ConfigureRoute
from services.routing.policies import INCLUDED_CHANNELS
from shared import config
from shared.consumers import checkpoints
from shared.consumers.checkpoints import Checkpoint
from shared.consumers.effects import EffectIntake
from shared.consumers.policies import PolicyConsumer
from shared.ids import derived_id, random_id

_QUANTITIES = (1, 1, 1, 1, 2, 2, 3)
_TOGETHER = 16  # Purchases that run at the same time, so that their events interleave.
_PER_HOLD = 50
_LABELS = (("vip",), ("support", "inbound"), ())
_FAR = timedelta(days=3650)


def settings_of(folder: Path) -> config.Settings:
    """Those of a sandbox in this folder, with no limits that a measurement would run into."""
    return config.load({"PBXIM_DATA": str(folder), **environment()})


def environment() -> dict[str, str]:
    """The settings of a product that is measured."""
    return {
        "PBXIM_MODE": "sandbox",
        "PBXIM_HTTP": "127.0.0.1:0",
        "PBXIM_RATE_LIMIT": "1000000 per second",
        "PBXIM_NUMBERS_PER_CITY": "10000",
        "PBXIM_NUMBERS_HELD": "100000",
        "PBXIM_LOG_LEVEL": "warning",
    }


class Filler:
    """Adds to a data folder, empty or filled before. ``close`` leaves it ready for the product."""

    def __init__(
        self, folder: Path, seed: str = "bench", settings: config.Settings | None = None
    ) -> None:
        self.assembly: Assembly = assemble(settings or settings_of(folder), all_specs())
        runtime = self.assembly.runtime
        self._chance = random.Random(seed)
        self._writer = Writer(runtime.application.log, runtime.application.codec, seed)
        self.buyers: list[Buyer] = []

    def add_accounts(self, count: int) -> None:
        """Opens accounts, each with a card."""
        for n in range(count):
            buyer = Buyer(random_id("acct"), random_id("pm"))
            self._writer.do(accounts.AGGREGATE, commands.opening(buyer, n))
            self._writer.do(accounts.AGGREGATE, commands.card(buyer, n))
            self.buyers.append(buyer)
        self._writer.flush()

    def add_stock(self, stock: Sequence[StockBlock]) -> None:
        """Puts blocks on sale."""
        for command in stock:
            self._writer.do(blocks.AGGREGATE, command)
        self._writer.flush()
        self._writer.forget()

    def buy(self, count: int, stock: Sequence[StockBlock], share: float) -> list[Shelf]:
        """Runs so many purchases on at most this share of each block; answers with what is left of
        that share. Every fifth number is described and labelled afterwards."""
        left = shelves(stock, share, self._taken(), self._chance)
        purchases = (self._purchase(self._chance.choice(self.buyers), left) for _ in range(count))
        while running := list(islice(purchases, _TOGETHER)):
            while running:
                running = [one for one in running if next(one, None) is not None]
            self._writer.forget()
        self._writer.flush()
        return [shelf for shelf in left if shelf.numbers]

    def hold(self, left: Sequence[Shelf]) -> None:
        """Holds the numbers for quotes that stay open for years."""
        for shelf in left:
            rest = iter(shelf.numbers)
            while some := tuple(islice(rest, _PER_HOLD)):
                buyer = self._chance.choice(self.buyers)
                self._hold(buyer, shelf.block, some, derived_id("qt", self._writer.new_id()))
            self._writer.forget()
        self._writer.flush()

    def hold_share(self, stock: Sequence[StockBlock], share: float) -> None:
        """Holds a share of each block's numbers."""
        self.hold(shelves(stock, share, set(), self._chance))

    def build_views(self) -> None:
        """Lets the projections catch up."""
        projections = self.assembly.projections()
        while [one for one in projections if one.step()]:
            pass
        failed = [f"{p.name}: {p.failure}" for p in projections if p.failure]
        if failed:
            raise RuntimeError("; ".join(failed))

    def close(self) -> None:
        """Puts the policies' and effects' places to the end, and closes the files."""
        log = self.assembly.runtime.application.log
        last = log.read_at(log.head())
        if last is not None:
            end = Checkpoint(last.position, last.event_id, log.log_id)
            for consumer in self.assembly.engine.consumers:
                if isinstance(consumer, PolicyConsumer | EffectIntake):
                    self._move(consumer.name, end)
        self.assembly.close()

    def _move(self, name: str, end: Checkpoint) -> None:
        state = self.assembly.ground.runtime(name.rpartition(":")[2]).state
        state.create(checkpoints.CHECKPOINTS)
        with state.write() as connection:
            checkpoints.move(connection, name, checkpoints.load(connection, name), end)

    def _taken(self) -> set[str]:
        with self.assembly.ground.runtime("inventory").views.read() as connection:
            return set(connection.execute(select(taken.c.number)).scalars())

    def _purchase(self, buyer: Buyer, left: list[Shelf]) -> Iterator[bool]:
        some = self._draw(left)
        shelf, bought = some
        quote_id = derived_id("qt", self._writer.new_id())
        line = self._hold(buyer, shelf.block, bought, quote_id)
        yield True
        order_id = derived_id("ord", self._writer.new_id())
        paid = self._pay(buyer, quote_id, order_id, line)
        yield True
        allocated = self._allocate(buyer, quote_id, order_id, bought, paid)
        yield True
        self._fulfil(buyer, order_id, line, allocated)

    def _draw(self, left: list[Shelf]) -> tuple[Shelf, tuple[str, ...]]:
        while left:
            place = self._chance.randrange(len(left))
            shelf, quantity = left[place], self._chance.choice(_QUANTITIES)
            if shelf.numbers:
                drawn = tuple(shelf.numbers[-quantity:])
                del shelf.numbers[-quantity:]
                return shelf, drawn
            left[place] = left[-1]
            left.pop()
        raise RuntimeError("this share of the stock is not enough for so many purchases")

    def _hold(
        self, buyer: Buyer, block: StockBlock, wanted: tuple[str, ...], hold_id: str
    ) -> HeldLine:
        line = HeldLine(
            offer_id=block.offer_id, place=block.place, terms=block.terms, numbers=wanted
        )
        self._writer.do(holds.AGGREGATE, self._asking(buyer, hold_id, line))
        for number in wanted:
            self._writer.do(numbers.AGGREGATE, commands.holding(number, block, hold_id, buyer))
        self._writer.do(holds.AGGREGATE, RecordHeld(hold_id=hold_id, lines=(line,), missing=()))
        return line

    def _asking(self, buyer: Buyer, hold_id: str, line: HeldLine) -> AskHold:
        whole, rest = divmod(len(line.numbers), 10)
        quantities = [10] * whole + [rest] * bool(rest)
        return AskHold(
            hold_id=hold_id,
            account_id=buyer.account_id,
            items=tuple(Item(offer_id=line.offer_id, quantity=q) for q in quantities),
            tried=line.numbers,
            until=self._writer.now + _FAR,
        )

    def _pay(self, buyer: Buyer, quote_id: str, order_id: str, line: HeldLine) -> Told:
        do, charge_id = self._writer.do, charge_id_of(order_id)
        placed = do(orders.AGGREGATE, commands.placing(buyer, quote_id, order_id))
        pin = PinHold(
            hold_id=quote_id,
            account_id=buyer.account_id,
            order_id=order_id,
            strategy="all_or_nothing",
            now=self._writer.now,
        )
        pinned = do(holds.AGGREGATE, pin, placed)
        reserve = ReserveOrder(order_id=order_id, lines=(line,), missing=())
        reserved = do(orders.AGGREGATE, reserve, pinned)
        asked = do(
            charges.AGGREGATE, commands.charging(buyer, charge_id, reserved.events[0]), reserved
        )
        intent = random_id("pi")
        record = RecordChargeSucceeded(
            charge_id=charge_id, provider_id=intent, receipt_url=f"http://127.0.0.1/{intent}"
        )
        taken_money = do(charges.AGGREGATE, record, asked)
        amount = taken_money.events[0].amount
        refund_id = derived_id("ref", self._writer.new_id())
        paid = RecordPaid(
            order_id=order_id, charge_id=charge_id, amount=amount, refund_id=refund_id
        )
        return do(orders.AGGREGATE, paid, taken_money)

    def _allocate(
        self, buyer: Buyer, quote_id: str, order_id: str, bought: tuple[str, ...], paid: Told
    ) -> Told:
        made = [AllocatedNumber(number=n, num_id=tenure_id(order_id, n)) for n in bought]
        for one in made:
            command = AllocateNumber(
                number=one.number,
                num_id=one.num_id,
                order_id=order_id,
                hold_id=quote_id,
                account_id=buyer.account_id,
            )
            self._writer.do(numbers.AGGREGATE, command, paid)
        record = RecordAllocated(
            hold_id=quote_id, order_id=order_id, numbers=tuple(made), refused=()
        )
        return self._writer.do(holds.AGGREGATE, record, paid)

    def _fulfil(self, buyer: Buyer, order_id: str, line: HeldLine, allocated: Told) -> None:
        made: tuple[AllocatedNumber, ...] = allocated.events[0].numbers
        begun = [
            self._writer.do(
                tenures.AGGREGATE, commands.beginning(buyer, order_id, line, one), allocated
            )
            for one in made
        ]
        fulfil = FulfilOrder(order_id=order_id, numbers=made, refused=(), refund_id="ref_none")
        self._writer.do(orders.AGGREGATE, fulfil, allocated)
        for one, told in zip(made, begun, strict=True):
            configure = ConfigureRoute(
                num_id=one.num_id,
                number=one.number,
                account_id=buyer.account_id,
                max_channels=INCLUDED_CHANNELS,
                sms=line.terms.sms,
            )
            self._writer.do(routes.AGGREGATE, configure, told)
            if self._chance.randrange(5) == 0:
                self._describe(buyer, one)

    def _describe(self, buyer: Buyer, one: AllocatedNumber) -> None:
        text = f"Line {one.number[-4:]} of the office in Orléans"
        describe = DescribeNumber(num_id=one.num_id, account_id=buyer.account_id, description=text)
        self._writer.do(tenures.AGGREGATE, describe)
        labels = self._chance.choice(_LABELS)
        label = ChangeLabels(num_id=one.num_id, account_id=buyer.account_id, labels=labels)
        self._writer.do(routes.AGGREGATE, label)

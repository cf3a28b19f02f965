"""Filling a hold: find candidates, write down which, hold them, replace those that are gone.

One piece of work for the RPC and for the policy. It may be cut off and repeated at any point: the
numbers it goes for are in the hold's stream before the first of them is touched, and every command
has an id that derives from the hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, select

from services.inventory.candidates import Candidate, candidates, offer_of
from services.inventory.domain import hold as domain
from services.inventory.messages import (
    AllocatedNumber,
    AllocateHold,
    AllocateNumber,
    AskHold,
    AwaitStock,
    ConfirmHeld,
    FillAwaiting,
    FillHold,
    HeldLine,
    HoldNumber,
    Item,
    Missing,
    RecordAllocated,
    RecordHeld,
    ReleaseNumber,
    TryMore,
)
from services.inventory.projections import awaiting, taken
from shared.application import Done, Order
from shared.consumers.policies import NotYetError
from shared.errors import PbxError, Refusal
from shared.ids import command_id, derived_id
from shared.refusals import refusal
from shared.runtime import Runtime

HELD_AT_MOST = "too_many_held"


@dataclass
class _Want:
    """One item of the hold: where its numbers come from and what it has got."""

    item: Item
    source: Iterator[Candidate]
    trying: list[Candidate] = field(default_factory=list)
    got: list[Candidate] = field(default_factory=list)
    code: str = "number_gone"

    def draw(self, seen: set[str]) -> list[Candidate]:
        """The next candidates for what is still missing."""
        fresh = (c for c in self.source if c.number not in seen)
        self.trying = list(islice(fresh, self.item.quantity - len(self.got)))
        seen.update(c.number for c in self.trying)
        return self.trying


def fill(runtime: Runtime, order: Order) -> Done:
    """Runs an ``AskHold`` to its end; the answer is the hold after it.

    Raises refusals for wishes that cannot be (``offer_unknown``, ``too_many_per_city``, …).
    """
    ask: AskHold = order.command
    state = runtime.application.load(domain.AGGREGATE, ask.hold_id)
    if state.status not in {domain.NEW, domain.WAITING, domain.ASKED}:
        return Done(0, (), state, replayed=True)
    with runtime.views.read() as connection:
        check(connection, runtime, ask)
        if state.status == domain.NEW and ask.order_id is None:
            _check_held(connection, runtime, ask)
        wants = [_Want(i, candidates(connection, i, ask.hold_id, state.tried)) for i in ask.items]
        return _fill(runtime, order, state, wants)


def _fill(runtime: Runtime, order: Order, state: domain.Hold, wants: list[_Want]) -> Done:
    # A repeated try goes first for what the first one went for, and so finds its own numbers again.
    tried = set(state.tried)
    seen: set[str] = set()
    drawn = [c for want in wants for c in want.draw(seen)]
    if state.status != domain.ASKED:
        _begin(runtime, order, drawn)
        tried = set(seen)
    while drawn:
        _announce(runtime, order, [c.number for c in drawn if c.number not in tried])
        tried |= seen
        _hold(runtime, order, wants)
        drawn = [c for want in wants for c in want.draw(seen)]
    _release_strays(runtime, order, set(state.tried) - _numbers(wants))
    return _finish(runtime, order, wants)


def _numbers(wants: list[_Want]) -> set[str]:
    return {c.number for want in wants for c in want.got}


def _begin(runtime: Runtime, order: Order, drawn: list[Candidate]) -> None:
    command = replace(order.command, tried=tuple(c.number for c in drawn))
    runtime.application.execute(order.sibling(command, "ask", *command.tried))


def _announce(runtime: Runtime, order: Order, numbers: list[str]) -> None:
    if numbers:
        command = TryMore(hold_id=order.command.hold_id, numbers=tuple(numbers))
        runtime.application.execute(order.sibling(command, "more", *numbers))


def _release_strays(runtime: Runtime, order: Order, numbers: set[str]) -> None:
    for number in sorted(numbers):
        command = ReleaseNumber(number=number, hold_id=order.command.hold_id)
        runtime.application.execute(order.sibling(command, "stray", number))


def _hold(runtime: Runtime, order: Order, wants: list[_Want]) -> None:
    tried = [(want, candidate) for want in wants for candidate in want.trying]
    orders = [order.sibling(_hold_number(order, c), "hold", c.number) for _, c in tried]
    outcomes = runtime.application.execute_many(orders)
    for (want, candidate), outcome in zip(tried, outcomes, strict=True):
        if not isinstance(outcome, PbxError):
            want.got.append(candidate)
        elif outcome.code != "number_gone":
            raise outcome


def _hold_number(order: Order, candidate: Candidate) -> HoldNumber:
    return HoldNumber(
        number=candidate.number,
        block_id=candidate.block_id,
        offer_id=candidate.offer_id,
        terms=candidate.terms,
        hold_id=order.command.hold_id,
        account_id=order.command.account_id,
    )


def _finish(runtime: Runtime, order: Order, wants: list[_Want]) -> Done:
    ask: AskHold = order.command
    lines = tuple(_line(want.got) for want in wants if want.got)
    missing = tuple(_missing(want) for want in wants if len(want.got) < want.item.quantity)
    if not lines and ask.items[0].free_in is not None:
        waiting = AwaitStock(hold_id=ask.hold_id, country=ask.items[0].free_in)
        return runtime.application.execute(order.sibling(waiting, "wait"))
    record = RecordHeld(hold_id=ask.hold_id, lines=lines, missing=missing)
    return runtime.application.execute(order.sibling(record, "record"))


def _line(got: list[Candidate]) -> HeldLine:
    first = got[0]
    numbers = tuple(c.number for c in got)
    return HeldLine(
        offer_id=first.offer_id, place=first.place, terms=first.terms, numbers=numbers
    )


def _missing(want: _Want) -> Missing:
    left = want.item.quantity - len(want.got)
    return Missing(item=want.item, quantity=left, code=want.code)


# ── Rules that need the view ──────────────────────────────────────────────────────────────────────


def check(connection: Connection, runtime: Runtime, ask: AskHold) -> None:
    """Refuses wishes against the rules of contract section 2: at most 10 per country, region and
    city over all rows and single numbers, one currency."""
    offers = [(item, offer_of(connection, item)) for item in ask.items]
    per_city: dict[tuple[str, str, str], int] = {}
    for item, sold in offers:
        if sold is not None:
            key = (sold.country, sold.region, sold.city)
            per_city[key] = per_city.get(key, 0) + item.quantity
    if max(per_city.values(), default=0) > runtime.settings.numbers_per_city:
        raise refusal("too_many_per_city", param="items")
    if len({sold.currency for _, sold in offers if sold is not None}) > 1:
        raise refusal("mixed_currency", param="items")


def _check_held(connection: Connection, runtime: Runtime, ask: AskHold) -> None:
    mine = (taken.c.account_id == ask.account_id) & (taken.c.status == "held")
    held = connection.execute(select(func.count()).where(mine)).scalar_one()
    wanted = sum(item.quantity for item in ask.items)
    if held + wanted > runtime.settings.numbers_held:
        most = runtime.settings.numbers_held
        raise refusal(HELD_AT_MOST, f"You hold {held} numbers; at most {most} at once.")


# ── Processes: what the policy asks for ───────────────────────────────────────────────────────────


def fill_for_order(runtime: Runtime, order: Order) -> None:
    """``FillHold``: the hold of an order that was placed with items. A wish that cannot be ends as
    ``HoldRefused``, so that the order learns of it."""
    c: FillHold = order.command
    ask = _asked(c.hold_id, c.account_id, c.items, c.until, c.order_id, c.strategy)
    try:
        fill(runtime, order.sibling(ask, "fill"))
    except Refusal as error:
        _refuse(runtime, order, ask, error.code)


def _asked(*parts: Any) -> AskHold:
    hold_id, account_id, items, until, order_id, strategy = parts
    return AskHold(
        hold_id=hold_id,
        account_id=account_id,
        items=items,
        tried=(),
        until=until,
        order_id=order_id,
        strategy=strategy,
    )


def _refuse(runtime: Runtime, order: Order, ask: AskHold, code: str) -> None:
    runtime.application.execute(order.sibling(ask, "ask refused"))
    missing = tuple(Missing(item=i, quantity=i.quantity, code=code) for i in ask.items)
    record = RecordHeld(hold_id=ask.hold_id, lines=(), missing=missing)
    runtime.application.execute(order.sibling(record, "record refused"))


def fill_awaiting(runtime: Runtime, order: Order) -> None:
    """``FillAwaiting``: stock has come; whoever waits for it is served, first come first."""
    c: FillAwaiting = order.command
    if runtime.progress.position(["stock"]) < c.after:
        raise NotYetError
    with runtime.views.read() as connection:
        query = select(awaiting.c.hold_id).where(awaiting.c.country == c.country)
        waiting = list(connection.execute(query.order_by(awaiting.c.hold_id)).scalars())
        free = offer_of(connection, Item(free_in=c.country)) if waiting else None
    for hold_id in waiting if free is not None else ():
        _fill_one(runtime, order, hold_id)


def _fill_one(runtime: Runtime, order: Order, hold_id: str) -> None:
    state = runtime.application.load(domain.AGGREGATE, hold_id)
    parts = (hold_id, state.account_id, state.items, state.until, state.order_id, state.strategy)
    if state.status == domain.WAITING:
        fill(runtime, order.sibling(_asked(*parts), "fill", hold_id))


def confirm_held(runtime: Runtime, order: Order) -> None:
    """``ConfirmHeld``: a number that was held when its hold had already ended goes back."""
    c: ConfirmHeld = order.command
    state = runtime.application.load(domain.AGGREGATE, c.hold_id)
    settled = state.status in {domain.HELD, domain.PINNED, domain.ALLOCATED}
    if state.status == domain.ENDED or (settled and c.number not in state.numbers):
        command = ReleaseNumber(number=c.number, hold_id=c.hold_id)
        runtime.application.execute(order.sibling(command, "stray"))


def allocate(runtime: Runtime, order: Order) -> None:
    """``AllocateHold``: every number of the hold becomes the account's; then one answer for all."""
    c: AllocateHold = order.command
    state = runtime.application.load(domain.AGGREGATE, c.hold_id)
    if state.status != domain.PINNED:
        return
    wanted = [AllocatedNumber(number=n, num_id=tenure_id(c.order_id, n)) for n in state.numbers]
    orders = [order.sibling(_allocate(c, state, w), "allocate", w.number) for w in wanted]
    outcomes = runtime.application.execute_many(orders)
    pairs = list(zip(wanted, outcomes, strict=True))
    _raise_unless_gone(outcomes)
    record = RecordAllocated(
        hold_id=c.hold_id,
        order_id=c.order_id,
        numbers=tuple(w for w, outcome in pairs if not isinstance(outcome, PbxError)),
        refused=tuple(w.number for w, outcome in pairs if isinstance(outcome, PbxError)),
    )
    runtime.application.execute(order.sibling(record, "record"))


def tenure_id(order_id: str, number: str) -> str:
    """The id of the tenure an order begins with a number."""
    return derived_id("num", command_id("tenure", order_id), number)


def _allocate(c: AllocateHold, state: domain.Hold, wanted: AllocatedNumber) -> AllocateNumber:
    return AllocateNumber(
        number=wanted.number,
        num_id=wanted.num_id,
        order_id=c.order_id,
        hold_id=c.hold_id,
        account_id=state.account_id,
    )


def _raise_unless_gone(outcomes: list[Done | PbxError]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, PbxError) and outcome.code != "number_gone":
            raise outcome

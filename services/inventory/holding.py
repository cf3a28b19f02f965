"""What the policy asks for and needs more than one stream, or a look at the view: processes.

Each may be repeated at any point without doing anything twice.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from services.inventory.domain import hold as domain
from services.inventory.domain.hold_state import (
    ALLOCATED,
    ASKED,
    ENDED,
    HELD,
    PINNED,
    WAITING,
    Hold,
)
from services.inventory.filling import fill
from services.inventory.messages import (
    AllocatedNumber,
    AllocateHold,
    AllocateNumber,
    AskHold,
    ConfirmHeld,
    FillAwaiting,
    FillHold,
    Missing,
    RecordAllocated,
    RecordHeld,
    ReleaseNumber,
    ReleaseStrays,
)
from services.inventory.projections import awaiting
from shared.application import Done, Order, accepted
from shared.consumers.policies import NotYetError
from shared.errors import PbxError, Refusal
from shared.ids import command_id, derived_id
from shared.runtime import Runtime
from shared.spec import Steps

# ── Filling ───────────────────────────────────────────────────────────────────────────────────────


def fill_for_order(runtime: Runtime, order: Order) -> None:
    """``FillHold``: the hold of an order that was placed with items. A wish that cannot be ends as
    ``HoldRefused``, so that the order learns of it."""
    c: FillHold = order.command
    ask = AskHold(
        hold_id=c.hold_id,
        account_id=c.account_id,
        items=c.items,
        tried=(),
        until=c.until,
        order_id=c.order_id,
        strategy=c.strategy,
    )
    try:
        fill(runtime, order.sibling(ask, "fill"))
    except Refusal as error:
        _refuse(runtime, order, ask, error.code)


def _refuse(runtime: Runtime, order: Order, ask: AskHold, code: str) -> None:
    runtime.application.execute(order.sibling(ask, "ask refused"))
    missing = tuple(Missing(item=i, quantity=i.quantity, code=code) for i in ask.items)
    record = RecordHeld(hold_id=ask.hold_id, lines=(), missing=missing)
    runtime.application.execute(order.sibling(record, "record refused"))


class _Waiting(NamedTuple):
    hold_id: str
    country: str


def fill_awaiting(runtime: Runtime, order: Order) -> None:
    """``FillAwaiting``: stock has come; whoever waits for it is served, first come first."""
    c: FillAwaiting = order.command
    if c.country:
        _require_view(runtime, c.after)
    # Whoever began to wait before this event is in the view: his own event was waited for above.
    waiting = _waiting(runtime, c.country)
    if waiting:
        _require_view(runtime, c.after)
    gone: set[str] = set()
    without_stock: set[str] = set()
    for one in waiting:
        if one.country not in without_stock and _fill_one(runtime, order, one, gone) == WAITING:
            without_stock.add(one.country)


def _require_view(runtime: Runtime, position: int) -> None:
    if runtime.progress.position(["stock"]) < position:
        raise NotYetError


def _waiting(runtime: Runtime, country: str) -> list[_Waiting]:
    query = select(awaiting.c.hold_id, awaiting.c.country).order_by(awaiting.c.since)
    if country:
        query = query.where(awaiting.c.country == country)
    with runtime.views.read() as connection:
        return [_Waiting(*row) for row in connection.execute(query)]


def _fill_one(runtime: Runtime, order: Order, one: _Waiting, gone: set[str]) -> str:
    state = runtime.application.load(domain.AGGREGATE, one.hold_id)
    if state.status not in {WAITING, ASKED}:  # Asked: an earlier try was cut off.
        return str(state.status)
    again = order.sibling(_again(one.hold_id, state), "fill", one.hold_id)
    return str(fill(runtime, again, gone).state.status)


def _again(hold_id: str, state: Hold) -> AskHold:
    return AskHold(
        hold_id=hold_id,
        account_id=state.account_id,
        items=state.items,
        tried=(),
        until=state.until,
        order_id=state.order_id,
        strategy=state.strategy,
    )


# ── Giving back ───────────────────────────────────────────────────────────────────────────────────


def confirm_held(runtime: Runtime, order: Order) -> None:
    """``ConfirmHeld``: a number that came when its hold had ended, or was settled without it, goes
    back."""
    c: ConfirmHeld = order.command
    state = runtime.application.load(domain.AGGREGATE, c.hold_id)
    settled = state.status in {WAITING, HELD, PINNED, ALLOCATED}
    if state.status == ENDED or (settled and c.number not in state.numbers):
        _release(runtime, order, c.hold_id, (c.number,))


def release_strays(runtime: Runtime, order: Order) -> None:
    """``ReleaseStrays``: what a hold went for and did not get in the end goes back."""
    c: ReleaseStrays = order.command
    state = runtime.application.load(domain.AGGREGATE, c.hold_id)
    _release(runtime, order, c.hold_id, state.strays)


def _release(runtime: Runtime, order: Order, hold_id: str, numbers: tuple[str, ...]) -> None:
    orders = [
        order.sibling(ReleaseNumber(number=number, hold_id=hold_id), "stray", number)
        for number in numbers
    ]
    accepted(runtime.application.execute_many(orders))


# ── Allocating ────────────────────────────────────────────────────────────────────────────────────


def allocate(runtime: Runtime, order: Order) -> Steps:
    """``AllocateHold``: every number of the hold becomes the account's; then one answer for all."""
    c: AllocateHold = order.command
    state = runtime.application.load(domain.AGGREGATE, c.hold_id)
    if state.status != PINNED:
        return
    wanted = [AllocatedNumber(number=n, num_id=tenure_id(c.order_id, n)) for n in state.numbers]
    orders = [order.sibling(_allocate(c, state, w), "allocate", w.number) for w in wanted]
    record = _allocated(c, wanted, (yield orders))
    accepted((yield [order.sibling(record, "record")]))


def tenure_id(order_id: str, number: str) -> str:
    """The id of the tenure an order begins with a number."""
    return derived_id("num", command_id("tenure", order_id), number)


def _allocate(c: AllocateHold, state: Hold, wanted: AllocatedNumber) -> AllocateNumber:
    return AllocateNumber(
        number=wanted.number,
        num_id=wanted.num_id,
        order_id=c.order_id,
        hold_id=c.hold_id,
        account_id=state.account_id,
    )


def _allocated(
    c: AllocateHold, wanted: list[AllocatedNumber], outcomes: list[Done | PbxError]
) -> RecordAllocated:
    refused: list[str] = []
    for one, outcome in zip(wanted, outcomes, strict=True):
        if isinstance(outcome, PbxError):
            if outcome.code != "number_gone":
                raise outcome
            refused.append(one.number)
    return RecordAllocated(
        hold_id=c.hold_id,
        order_id=c.order_id,
        numbers=tuple(one for one in wanted if one.number not in refused),
        refused=tuple(refused),
    )

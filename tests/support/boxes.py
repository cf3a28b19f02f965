"""A service small enough to see through: boxes with a number of things in them.

Tests of the core use it so that they speak of the core and not of numbers and orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from sqlalchemy import Column, Integer, MetaData, String, Table, select

from shared.aggregate import Aggregate
from shared.consumers.projections import Projection
from shared.consumers.rows import Key, Rows
from shared.happened import Happened
from shared.messages import Sealed, command, event
from shared.refusals import refusal
from shared.spec import Policy, ServiceSpec
from shared.stores import Store


@event("BoxFilled")
class BoxFilled:
    """Things were put in."""

    box_id: str
    amount: int


@event("BoxEmptied")
class BoxEmptied:
    """Things were taken out."""

    box_id: str
    amount: int


@event("BoxLabelled", sealed_under="account_id")
class BoxLabelled:
    """Whose it is."""

    box_id: str
    account_id: str
    owner: Sealed[str]
    note: Sealed[str] | None


@event("BoxNoted")
class BoxNoted:
    """Somebody reacted: to which event, with what."""

    box_id: str
    text: str


@command
class FillBox:
    """Puts things in, in so many steps (one event each)."""

    box_id: str
    amount: int
    steps: int = 1


@command
class EmptyBox:
    """Takes things out; refused if there are not so many. None is pointless."""

    box_id: str
    amount: int


@command
class LabelBox:
    """Says whose it is."""

    box_id: str
    account_id: str
    owner: str
    note: str | None = None


@command
class NoteBox:
    """Writes something down, in a stream beside the box."""

    box_id: str
    text: str


Command = FillBox | EmptyBox | LabelBox | NoteBox
Event = BoxFilled | BoxEmptied | BoxLabelled | BoxNoted


@dataclass(frozen=True, slots=True)
class Box:
    """What is in it, and what was noted."""

    amount: int = 0
    owner: object = None
    notes: tuple[str, ...] = ()


def evolve(box: Box, happened: Event) -> Box:
    """Folds."""
    match happened:
        case BoxFilled(amount=amount):
            return Box(box.amount + amount, box.owner, box.notes)
        case BoxEmptied(amount=amount):
            return Box(box.amount - amount, box.owner, box.notes)
        case BoxLabelled(owner=owner):
            return Box(box.amount, owner, box.notes)
        case BoxNoted(text=text):
            return Box(box.amount, box.owner, (*box.notes, text))
        case _:
            assert_never(happened)


def decide(wanted: Command, box: Box) -> Sequence[Event]:
    """The rules."""
    match wanted:
        case FillBox(box_id=box_id, amount=amount, steps=steps):
            return [BoxFilled(box_id=box_id, amount=amount) for _ in range(steps)]
        case EmptyBox(box_id=box_id, amount=amount):
            if amount > box.amount:
                raise refusal("too_many_held", f"There are only {box.amount}.")
            return [BoxEmptied(box_id=box_id, amount=amount)] if amount else []
        case LabelBox(box_id=box_id, account_id=account_id, owner=owner, note=note):
            return [BoxLabelled(box_id=box_id, account_id=account_id, owner=owner, note=note)]
        case NoteBox(box_id=box_id, text=text):
            return [BoxNoted(box_id=box_id, text=text)]
        case _:
            assert_never(wanted)


BOXES = Aggregate("box", (FillBox, EmptyBox, LabelBox), Box(), lambda c: c.box_id, evolve, decide)
NOTES = Aggregate("note", (NoteBox,), Box(), lambda c: c.box_id, evolve, decide)


def note_it(happened: Happened) -> Sequence[NoteBox]:
    """A policy's answer that tells which event it answers."""
    return [NoteBox(box_id=happened.message.box_id, text=f"seen {happened.position}")]


TABLES = MetaData()
contents = Table(
    "box_contents",
    TABLES,
    Column("box_id", String, primary_key=True),
    Column("amount", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
)


def fold(happened: Happened, rows: Rows) -> None:
    """One row per box; none for an empty one."""
    e = happened.message
    by = e.amount if isinstance(e, BoxFilled) else -e.amount
    if rows.get(contents, e.box_id) is None:
        rows.put(contents, {"box_id": e.box_id, "amount": 0, "changes": 0})
    row = rows.change(contents, e.box_id)
    row["amount"] += by
    row["changes"] += 1
    if not row["amount"]:
        rows.drop(contents, e.box_id)


def touches(message: Any) -> list[tuple[Table, Key]]:
    """The box's row."""
    return [(contents, (message.box_id,))]


def projection(
    name: str = "boxes",
    version: int = 1,
    fold: Callable[[Happened, Rows], None] = fold,
) -> Projection:
    """The read model of boxes."""
    return Projection(name, version, TABLES, (BoxFilled, BoxEmptied), fold, touches)


def shown(views: Store) -> dict[str, tuple[int, int]]:
    """What the read model says: box → amount, changes."""
    with views.read() as connection:
        found = connection.execute(select(contents)).all()
    return {row.box_id: (row.amount, row.changes) for row in found}


def box_service(**more: Any) -> ServiceSpec:
    """The service, with what a test adds to it."""
    known: dict[str, Any] = {
        "name": "boxes",
        "aggregates": (BOXES, NOTES),
        "rpc": lambda _runtime: object(),
        "processes": {},
    }
    return ServiceSpec(**(known | more))


def noting(react: Callable[[Happened], Sequence[Any]] = note_it) -> Policy:
    """A policy on what was filled."""
    return Policy(events=(BoxFilled,), react=react)

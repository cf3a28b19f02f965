"""A tenure: one account's time with one number, from allocation to release (``num_…``).

In this version a tenure is active from its first event on; suspension and cancellation follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from services.orders.messages import BeginTenure, DescribeNumber, NumberDescribed, NumberPurchased
from shared.aggregate import Aggregate
from shared.refusals import refusal

Command = BeginTenure | DescribeNumber
Event = NumberPurchased | NumberDescribed

NEW, ACTIVE = "new", "active"
MOST_DESCRIPTION = 1000


@dataclass(frozen=True, slots=True)
class Tenure:
    """Who has the number. ``described_in`` is the version in which its general part changed last;
    it is what an edit names as the version it was made on."""

    status: str = NEW
    account_id: str = ""
    number: str = ""
    description: str = ""
    version: int = 0
    described_in: int = 0


def begin(command: BeginTenure, state: Tenure) -> Sequence[Event]:
    """Begins the tenure, once."""
    return [_purchased(command)] if state.status == NEW else []


def _purchased(c: BeginTenure) -> NumberPurchased:
    return NumberPurchased(
        num_id=c.num_id,
        number=c.number,
        account_id=c.account_id,
        order_id=c.order_id,
        offer_id=c.offer_id,
        place=c.place,
        terms=c.terms,
        origin=c.origin,
    )


def describe(command: DescribeNumber, state: Tenure) -> Sequence[Event]:
    """Changes the note, kept as written.

    Raises ``number_unknown``, ``edited_meanwhile``, ``invalid_value`` (over 1,000 characters).
    """
    if state.status == NEW or state.account_id != command.account_id:
        raise refusal("number_unknown")
    if command.if_version not in {None, state.described_in}:
        raise refusal("edited_meanwhile", param="description")
    if len(command.description) > MOST_DESCRIPTION:
        detail = f"A description has at most {MOST_DESCRIPTION} characters."
        raise refusal("invalid_value", detail, param="description")
    return [] if command.description == state.description else [_described(command, state)]


def _described(command: DescribeNumber, state: Tenure) -> NumberDescribed:
    return NumberDescribed(
        num_id=command.num_id,
        number=state.number,
        account_id=state.account_id,
        description=command.description,
    )


def decide(command: Command, state: Tenure) -> Sequence[Event]:
    """Which rule a command meets."""
    match command:
        case BeginTenure():
            return begin(command, state)
        case DescribeNumber():
            return describe(command, state)
        case _:
            assert_never(command)


def evolve(state: Tenure, event: Event) -> Tenure:
    """What happened to the tenure."""
    version = state.version + 1
    match event:
        case NumberPurchased():
            return Tenure(ACTIVE, event.account_id, event.number, "", version, version)
        case NumberDescribed():
            described = replace(state, description=event.description)
            return replace(described, version=version, described_in=version)
        case _:
            assert_never(event)


AGGREGATE = Aggregate(
    category="number",
    commands=(BeginTenure, DescribeNumber),
    initial=Tenure(),
    key=lambda command: command.num_id,
    evolve=evolve,
    decide=decide,
    begins=(BeginTenure,),
)

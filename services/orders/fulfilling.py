"""Completing an order: the tenures of its numbers begin, then it is fulfilled.

May be cut off and repeated at any point: every command has an id that derives from the order's, and
a tenure begins once.
"""

from __future__ import annotations

from services.inventory.messages import AllocatedNumber, HeldLine
from services.orders.domain import order as domain
from services.orders.domain.order_state import FREE, FULFILLED, PAID
from services.orders.domain.order_state import Order as OrderState
from services.orders.messages import BeginTenure, CompleteOrder, FulfilOrder
from shared.application import Order, accepted
from shared.ids import command_id, derived_id
from shared.refusals import refusal
from shared.runtime import Runtime
from shared.spec import Steps


def complete(runtime: Runtime, order: Order) -> Steps:
    """``CompleteOrder``: ``NumberPurchased`` each, then ``OrderFulfilled``.

    Raises ``internal_error`` for numbers of an order that is not paid: an operator has to look.
    """
    c: CompleteOrder = order.command
    state: OrderState = runtime.application.load(domain.AGGREGATE, c.order_id)
    if c.numbers and state.status not in {PAID, FULFILLED}:
        detail = f"Numbers were allocated to {c.order_id}, which is {state.status}."
        raise refusal("internal_error", detail)
    tenures = [order.sibling(tenure, "tenure", tenure.num_id) for tenure in _tenures(c, state)]
    accepted((yield tenures))
    accepted((yield [order.sibling(_fulfil(c), "fulfil")]))


def _tenures(c: CompleteOrder, state: OrderState) -> list[BeginTenure]:
    lines = {number: line for line in state.lines for number in line.numbers}
    return [_tenure(c.order_id, state, n, lines[n.number]) for n in c.numbers]


def _tenure(
    order_id: str, state: OrderState, allocated: AllocatedNumber, line: HeldLine
) -> BeginTenure:
    return BeginTenure(
        num_id=allocated.num_id,
        number=allocated.number,
        account_id=state.account_id,
        order_id=order_id,
        offer_id=line.offer_id,
        place=line.place,
        terms=line.terms,
        origin="free" if state.kind == FREE else "purchased",
    )


def _fulfil(c: CompleteOrder) -> FulfilOrder:
    refund_id = derived_id("ref", command_id("refused numbers", c.order_id))
    return FulfilOrder(
        order_id=c.order_id, numbers=c.numbers, refused=c.refused, refund_id=refund_id
    )

"""Outcomes in any order, doubled and lost: what an order promises holds all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.orders.domain.order import AGGREGATE
from services.orders.domain.order_state import NOT_RETURNED, RETURNED, Order
from services.orders.messages import (
    ExpireAction,
    FailOrder,
    FulfilOrder,
    GiveToOperator,
    OrderFailed,
    OrderFulfilled,
    OrderPaid,
    RecordChargeUnknown,
    RecordPaid,
    RecordRefunded,
    RecordRefundFailed,
    RefundRequested,
    ReportConfirmation,
    RequestRefund,
    RequireAction,
    ReserveOrder,
)
from shared.errors import Refusal
from shared.money import Money
from tests.unit.orders import facts as f

REFUND_IDS = ("ref_1", "ref_2", "ref_3", "ref_gone", "ref_late")
ALL_NUMBERS = tuple(n.number for n in f.NUMBERS)


def _fulfil(taken: int) -> FulfilOrder:
    return FulfilOrder(
        order_id=f.ORDER,
        numbers=f.NUMBERS[:taken],
        refused=ALL_NUMBERS[taken:],
        refund_id="ref_gone",
    )


def _refund(refund_id: str, micros: int | None, numbers: Sequence[str]) -> RequestRefund:
    return RequestRefund(
        order_id=f.ORDER,
        refund_id=refund_id,
        amount=None if micros is None else Money(micros, "USD"),
        numbers=() if micros is not None else tuple(numbers),
        reason="",
    )


def _returned(refund_id: str, micros: int) -> RecordRefunded:
    return RecordRefunded(order_id=f.ORDER, refund_id=refund_id, amount=Money(micros, "USD"))


micros = st.integers(1, f.TOTAL.micros)
outcomes = st.one_of(
    st.just(ReserveOrder(order_id=f.ORDER, lines=f.LINES, missing=())),
    st.just(RecordPaid(order_id=f.ORDER, charge_id=f.CHARGE, amount=f.TOTAL, refund_id="ref_late")),
    st.just(FailOrder(order_id=f.ORDER, code="card_declined", detail="")),
    st.just(RequireAction(order_id=f.ORDER, charge_id=f.CHARGE, expires_at=f.SOON)),
    st.just(RecordChargeUnknown(order_id=f.ORDER, charge_id=f.CHARGE)),
    st.just(ReportConfirmation(order_id=f.ORDER, account_id=f.ACCOUNT)),
    st.builds(_fulfil, st.integers(0, 3)),
    st.builds(
        lambda minutes: ExpireAction(order_id=f.ORDER, now=f.AT + timedelta(minutes=minutes)),
        st.integers(0, 20),
    ),
    st.builds(
        lambda waited: GiveToOperator(order_id=f.ORDER, waited_for=waited),
        st.sampled_from(["answer", "charge"]),
    ),
    st.builds(
        _refund,
        st.sampled_from(REFUND_IDS),
        st.none() | micros,
        st.lists(st.sampled_from(ALL_NUMBERS), unique=True),
    ),
    st.builds(_returned, st.sampled_from(REFUND_IDS), micros),
    st.builds(
        lambda refund_id: RecordRefundFailed(
            order_id=f.ORDER, refund_id=refund_id, code="payment_failed", detail=""
        ),
        st.sampled_from(REFUND_IDS),
    ),
)


def decided(command: Any, state: Order) -> Sequence[Any]:
    """The events; a refusal records none."""
    try:
        return AGGREGATE.decide(command, state)
    except Refusal:
        return []


def as_the_provider_says(command: Any, state: Order) -> Any:
    """A provider returns what it was asked to, to the micro."""
    known = isinstance(command, RecordRefunded) and state.refunds.get(command.refund_id)
    return replace(command, amount=known.amount) if known else command


def check_step(state: Order, events: Sequence[Any]) -> None:
    """No step asks back more than is left, and none gives numbers without money."""
    for event in events:
        if isinstance(event, RefundRequested) and state.charged is not None:
            assert event.amount.micros <= state.left
        if isinstance(event, OrderFulfilled):
            assert state.charged == f.TOTAL


@settings(print_blob=True, deadline=None, max_examples=300)
@given(st.lists(outcomes, max_size=25))
def test_an_order_keeps_its_promises(commands: list[Any]) -> None:
    state: Order = AGGREGATE.fold(AGGREGATE.initial, [f.PLACED])
    recorded: list[Any] = []
    for drawn in commands:
        command = as_the_provider_says(drawn, state)
        events = decided(command, state)
        check_step(state, events)
        state = AGGREGATE.fold(state, events)
        recorded += events
        if not isinstance(command, ReportConfirmation):
            assert list(decided(command, state)) == [], "the same outcome twice"

    check_history(recorded)
    check_money(state)


def check_history(recorded: list[Any]) -> None:
    """One end at most; never fulfilled and failed both; paid once."""
    ends = [e for e in recorded if isinstance(e, OrderFulfilled | OrderFailed)]
    assert len(ends) <= 1
    assert sum(isinstance(e, OrderPaid) for e in recorded) <= 1


def check_money(state: Order) -> None:
    """What came back is at most what was charged; so is what was asked back, unless somebody
    returned money at the provider as well."""
    charged = state.charged.micros if state.charged else 0
    running = [r for r in state.refunds.values() if r.status != NOT_RETURNED]
    assert sum(r.amount.micros for r in running if r.status == RETURNED) <= charged
    assert charged in {0, f.TOTAL.micros}


@settings(print_blob=True, deadline=None, max_examples=200)
@given(
    st.lists(
        st.builds(
            _refund,
            st.sampled_from(REFUND_IDS),
            st.none() | micros,
            st.lists(st.sampled_from(ALL_NUMBERS), unique=True),
        ),
        max_size=15,
    )
)
def test_refunds_asked_for_here_never_exceed_the_charge(commands: list[RequestRefund]) -> None:
    state: Order = AGGREGATE.fold(AGGREGATE.initial, f.DONE)
    for command in commands:
        state = AGGREGATE.fold(state, decided(command, state))

    assert sum(r.amount.micros for r in state.refunds.values()) <= f.TOTAL.micros
    assert state.left >= 0


@settings(print_blob=True, deadline=None, max_examples=200)
@given(st.permutations(["paid", "failed", "unknown", "action"]))
def test_the_first_final_word_on_the_charge_counts(words: list[str]) -> None:
    said = {
        "paid": RecordPaid(
            order_id=f.ORDER, charge_id=f.CHARGE, amount=f.TOTAL, refund_id="ref_late"
        ),
        "failed": FailOrder(order_id=f.ORDER, code="card_declined", detail=""),
        "unknown": RecordChargeUnknown(order_id=f.ORDER, charge_id=f.CHARGE),
        "action": RequireAction(order_id=f.ORDER, charge_id=f.CHARGE, expires_at=f.SOON),
    }
    state: Order = AGGREGATE.fold(AGGREGATE.initial, [f.PLACED, f.RESERVED])
    for word in words:
        state = AGGREGATE.fold(state, decided(said[word], state))

    paid_first = words.index("paid") < words.index("failed")
    assert state.status == ("paid" if paid_first else "failed")
    assert state.left == (f.TOTAL.micros if paid_first else 0)

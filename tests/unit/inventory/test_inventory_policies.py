"""What inventory does when others, or its own holds, say something."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.inventory import policies
from services.inventory.messages import (
    AllocateHold,
    ConfirmHeld,
    EndPinnedHold,
    ExpireHold,
    FillAwaiting,
    FillHold,
    HoldAwaitsStock,
    HoldExtended,
    HoldRefused,
    Item,
    NumberHeld,
    NumberQuarantined,
    NumberReleased,
    NumberReturnedToStock,
    PinHold,
    ReleaseNumber,
    ReleaseStrays,
    ReturnNumber,
)
from services.orders.messages import OrderFailed, OrderPaid, OrderPlaced
from shared.money import Money
from shared.spec import ClearTimer, SetTimer
from tests.unit.inventory.stock_facts import (
    ACCOUNT,
    ASKED,
    ASKED_FOR_ORDER,
    AT,
    BLOCK,
    HELD,
    N1,
    N2,
    NYC,
    OFFER,
    ORDER,
    PINNED,
    QUOTE,
    STOCKED,
    TWO,
    UNTIL,
    happened,
    released,
)

PLACED = OrderPlaced(
    order_id=ORDER,
    account_id=ACCOUNT,
    kind="purchase",
    hold_id=QUOTE,
    items=(),
    strategy="all_or_nothing",
    payment_method_id="pm_1",
    usage=None,
    end_user=None,
    document_ids=(),
)
PAID = OrderPaid(
    order_id=ORDER, account_id=ACCOUNT, hold_id=QUOTE, charge_id=None, amount=Money(0, "USD")
)
FAILED = OrderFailed(
    order_id=ORDER, account_id=ACCOUNT, hold_id=QUOTE, code="card_declined", detail=""
)
NUMBER_HELD = NumberHeld(
    number=N1, block_id=BLOCK, offer_id=OFFER, hold_id=QUOTE, account_id=ACCOUNT
)
REFUSED = HoldRefused(
    hold_id=QUOTE, account_id=ACCOUNT, order_id=ORDER, code="number_gone", detail=""
)
AWAITS = HoldAwaitsStock(hold_id=QUOTE, account_id=ACCOUNT, country="US")
QUARANTINED = NumberQuarantined(number=N1, num_id="num_1", until=UNTIL)
RETURNED = NumberReturnedToStock(number=N1)
EXTENDED = HoldExtended(hold_id=QUOTE, account_id=ACCOUNT, until=UNTIL + timedelta(minutes=5))
BY_ITEMS = replace(PLACED, hold_id=ORDER, items=TWO, strategy="best_effort")
PIN_IT = PinHold(
    hold_id=QUOTE, account_id=ACCOUNT, order_id=ORDER, strategy="all_or_nothing", now=AT
)
FILL_IT = FillHold(
    hold_id=ORDER,
    account_id=ACCOUNT,
    order_id=ORDER,
    items=TWO,
    strategy="best_effort",
    until=AT + timedelta(days=3650),
)
ANYWHERE = FillAwaiting(country="", after=7)
IN_THE_US = FillAwaiting(country="US", after=7)
REACTIONS = [
    (PLACED, [PIN_IT]),
    (BY_ITEMS, [FILL_IT]),
    (PAID, [AllocateHold(hold_id=QUOTE, order_id=ORDER)]),
    (FAILED, [EndPinnedHold(hold_id=QUOTE, order_id=ORDER)]),
    (
        released("expired", N1, N2),
        [ReleaseNumber(number=N1, hold_id=QUOTE), ReleaseNumber(number=N2, hold_id=QUOTE)],
    ),
    (NUMBER_HELD, [ConfirmHeld(hold_id=QUOTE, number=N1)]),
    (HELD, [ReleaseStrays(hold_id=QUOTE)]),
    (REFUSED, [ReleaseStrays(hold_id=QUOTE)]),
    (AWAITS, [ReleaseStrays(hold_id=QUOTE), IN_THE_US]),
    (STOCKED, [IN_THE_US]),
    (replace(STOCKED, place=replace(NYC, type="toll_free")), []),
    (NumberReleased(number=N1, hold_id=QUOTE), [ANYWHERE]),
    (RETURNED, [ANYWHERE]),
    (ASKED, []),
    (PINNED, []),
]


@pytest.mark.parametrize(("event", "commands"), REACTIONS, ids=lambda found: type(found).__name__)
def test_what_inventory_does_about_an_event(event, commands):
    assert list(policies.react(happened(event))) == commands


def test_every_event_with_an_answer_is_listened_to():
    answered = {type(event) for event, commands in REACTIONS if commands}

    assert answered == set(policies.POLICY.events)


@pytest.mark.parametrize(
    ("event", "timers"),
    [
        (ASKED, [SetTimer("hold_expiry", QUOTE, UNTIL)]),
        (ASKED_FOR_ORDER, []),
        (EXTENDED, [SetTimer("hold_expiry", QUOTE, EXTENDED.until)]),
        (PINNED, [ClearTimer("hold_expiry", QUOTE)]),
        (released("released", N1), [ClearTimer("hold_expiry", QUOTE)]),
        (QUARANTINED, [SetTimer("quarantine_end", N1, UNTIL)]),
        (RETURNED, [ClearTimer("quarantine_end", N1)]),
    ],
    ids=lambda found: type(found).__name__,
)
def test_what_falls_due(event, timers):
    assert list(policies.timers_of(happened(event))) == timers
    assert type(event) in policies.TIMERS.events


def test_what_is_due_becomes_a_command():
    assert policies.fire("hold_expiry", QUOTE, UNTIL) == ExpireHold(hold_id=QUOTE, now=UNTIL)
    assert policies.fire("quarantine_end", N1, UNTIL) == ReturnNumber(number=N1, now=UNTIL)


def test_the_free_number_is_an_order_with_an_item_of_its_own():
    free = replace(BY_ITEMS, kind="free", items=(Item(free_in="US"),))

    (command,) = policies.react(happened(free))

    assert command.items == (Item(free_in="US"),)

"""A hold answers once for all its numbers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.inventory.domain.hold import AGGREGATE
from services.inventory.domain.hold_state import ASKED as FILLING
from services.inventory.domain.hold_state import Hold
from services.inventory.messages import (
    AllocatedNumber,
    AwaitStock,
    EndPinnedHold,
    ExpireHold,
    ExtendHold,
    HoldAllocated,
    HoldAwaitsStock,
    HoldExtended,
    HoldRefused,
    Item,
    RecordAllocated,
    RecordHeld,
    ReleaseHold,
    TryMore,
)
from shared.refusals import CODES
from tests.unit.inventory.stock_facts import (
    ACCOUNT,
    ASK,
    ASKED,
    ASKED_FOR_ORDER,
    AT,
    HELD,
    LINE,
    N1,
    N2,
    N3,
    OFFER,
    ONE_MISSING,
    ORDER,
    PIN,
    PINNED,
    QUOTE,
    RECORD,
    SHORT,
    STRANGER,
    TRIED_MORE,
    TWO,
    UNTIL,
    released,
)
from tests.unit.spec import given

EARLY, MOMENT = UNTIL - timedelta(microseconds=1), timedelta(microseconds=1)
TRY_MORE = TryMore(hold_id=QUOTE, numbers=(N3,))
PARTLY = RecordHeld(hold_id=QUOTE, lines=(SHORT,), missing=(ONE_MISSING,))
NOTHING = RecordHeld(hold_id=QUOTE, lines=(), missing=(ONE_MISSING,))
HELD_PARTLY = replace(HELD, lines=(SHORT,), missing=(ONE_MISSING,))
EXPIRE = ExpireHold(hold_id=QUOTE, now=UNTIL)
RELEASE = ReleaseHold(hold_id=QUOTE, account_id=ACCOUNT)
EXTEND = ExtendHold(
    hold_id=QUOTE, account_id=ACCOUNT, until=UNTIL + timedelta(minutes=5), now=EARLY
)
FAIL = EndPinnedHold(hold_id=QUOTE, order_id=ORDER)
TENURE = AllocatedNumber(number=N1, num_id="num_1")
RECORD_ALLOCATED = RecordAllocated(hold_id=QUOTE, order_id=ORDER, numbers=(TENURE,), refused=(N2,))
ALLOCATED = HoldAllocated(
    hold_id=QUOTE, account_id=ACCOUNT, order_id=ORDER, numbers=(TENURE,), refused=(N2,)
)
FREE = (Item(free_in="US"),)
FREE_ASKED = replace(ASKED_FOR_ORDER, items=FREE, tried=(N1,))
AWAIT = AwaitStock(hold_id=QUOTE, country="US")
AWAITS = HoldAwaitsStock(hold_id=QUOTE, account_id=ACCOUNT, country="US")
EXPIRED = released("expired", N1, N2)
FAILED = released("order_failed", N1, N2, order_id=ORDER)


def refused_to(order_id, code, account_id=ACCOUNT):
    return HoldRefused(
        hold_id=QUOTE,
        account_id=account_id,
        order_id=order_id,
        code=code,
        detail=CODES[code].title + ".",
    )


# Asking


def test_a_hold_says_what_it_goes_for_before_it_touches_anything():
    given(AGGREGATE).when(ASK).then(ASKED)


@pytest.mark.parametrize(
    "before", [(ASKED,), (ASKED, HELD), (ASKED, HELD, PINNED), (ASKED, HELD, EXPIRED)]
)
def test_a_hold_is_asked_for_once(before):
    given(AGGREGATE, *before).when(ASK).then()


def test_a_hold_is_for_something():
    given(AGGREGATE).when(replace(ASK, items=())).refused("items_invalid", param="items")


@pytest.mark.parametrize("quantity", [-1, 0, 11, 10_000])
def test_a_quantity_is_from_1_to_10(quantity):
    items = (Item(offer_id=OFFER, quantity=quantity),)

    given(AGGREGATE).when(replace(ASK, items=items)).refused("quantity_invalid", param="items")


def test_a_number_is_named_once():
    items = (Item(number=N1), Item(number=N2), Item(number=N1))

    error = given(AGGREGATE).when(replace(ASK, items=items)).refused("items_invalid")
    assert N1 in error.detail


def test_an_orders_impossible_wish_is_refused_in_an_event():
    command = replace(ASK, items=(Item(offer_id=OFFER, quantity=11),), order_id=ORDER)

    given(AGGREGATE).when(command).then(refused_to(ORDER, "quantity_invalid"))


# Being filled


def test_more_numbers_are_named_before_they_are_touched():
    given(AGGREGATE, ASKED).when(TRY_MORE).then(TRIED_MORE)
    assert AGGREGATE.fold(Hold(), [ASKED, TRIED_MORE]).tried == (N1, N2, N3)


@pytest.mark.parametrize("before", [(), (ASKED, HELD), (ASKED, EXPIRED)])
def test_a_hold_that_is_not_being_filled_tries_nothing(before):
    given(AGGREGATE, *before).when(TRY_MORE).refused("quote_expired")


def test_a_quote_that_is_whole_is_held():
    given(AGGREGATE, ASKED).when(RECORD).then(HELD)


def test_what_an_order_asked_for_is_pinned_at_once():
    given(AGGREGATE, ASKED_FOR_ORDER).when(RECORD).then(HELD, PINNED)


def test_all_or_nothing_gives_everything_back():
    given(AGGREGATE, ASKED).when(PARTLY).then(HELD_PARTLY, released("refused", N1))
    given(AGGREGATE, ASKED_FOR_ORDER).when(PARTLY).then(
        refused_to(ORDER, "number_gone"), released("refused", N1, order_id=ORDER)
    )


def test_best_effort_keeps_what_it_got():
    asked = replace(ASKED, strategy="best_effort")

    given(AGGREGATE, asked).when(PARTLY).then(HELD_PARTLY)
    given(AGGREGATE, replace(asked, order_id=ORDER)).when(PARTLY).then(
        HELD_PARTLY, replace(PINNED, lines=(SHORT,), missing=(ONE_MISSING,))
    )


def test_best_effort_with_nothing_is_refused_all_the_same():
    asked = replace(ASKED, strategy="best_effort", order_id=ORDER)

    given(AGGREGATE, asked).when(NOTHING).then(
        refused_to(ORDER, "number_gone"), released("refused", order_id=ORDER)
    )


@pytest.mark.parametrize(
    "before", [(), (ASKED, HELD), (ASKED, EXPIRED), (ASKED_FOR_ORDER, HELD, PINNED)]
)
def test_a_hold_is_recorded_once(before):
    given(AGGREGATE, *before).when(RECORD).then()


@pytest.mark.parametrize(
    ("events", "strays"),
    [
        ((), ()),
        ((ASKED, TRIED_MORE), ()),
        ((ASKED, HELD), ()),
        ((ASKED, TRIED_MORE, HELD), (N3,)),
        ((ASKED, TRIED_MORE, released("released", N1, N2, N3)), (N1, N2, N3)),
        ((FREE_ASKED, AWAITS), (N1,)),
    ],
)
def test_what_a_hold_went_for_and_has_not_got_is_a_stray(events, strays):
    assert AGGREGATE.fold(Hold(), events).strays == strays


# Waiting for stock


def test_a_free_number_can_wait_for_stock_also_after_a_try_in_vain():
    given(AGGREGATE, FREE_ASKED).when(AWAIT).then(AWAITS)
    given(AGGREGATE, replace(FREE_ASKED, tried=())).when(AWAIT).then(AWAITS)


@pytest.mark.parametrize("before", [(), (ASKED,), (FREE_ASKED, AWAITS), (FREE_ASKED, HELD, PINNED)])
def test_nothing_else_waits(before):
    given(AGGREGATE, *before).when(AWAIT).then()


def test_a_hold_that_waits_is_asked_again_and_forgets_nothing():
    again = replace(ASK, items=FREE, order_id=ORDER, tried=(N2,))
    asked_again = replace(FREE_ASKED, tried=(N2,))

    given(AGGREGATE, FREE_ASKED, AWAITS).when(again).then(asked_again)
    state = AGGREGATE.fold(Hold(), [FREE_ASKED, AWAITS, asked_again])
    assert (state.status, state.tried) == (FILLING, (N1, N2))


def test_a_hold_that_waits_ends_with_its_order():
    given(AGGREGATE, FREE_ASKED, AWAITS).when(FAIL).then(released("order_failed", order_id=ORDER))


# Pinning


def test_a_held_quote_is_pinned_to_its_order():
    given(AGGREGATE, ASKED, HELD).when(PIN).then(PINNED)


@pytest.mark.parametrize("before", [(PINNED,), (PINNED, ALLOCATED)])
def test_a_hold_is_pinned_once(before):
    given(AGGREGATE, ASKED, HELD, *before).when(PIN).then()


@pytest.mark.parametrize("before", [(PINNED,), (PINNED, ALLOCATED)])
def test_another_order_is_refused_in_an_event(before):
    given(AGGREGATE, ASKED, HELD, *before).when(replace(PIN, order_id="ord_2")).then(
        refused_to("ord_2", "quote_used")
    )


def test_a_quote_is_pinned_up_to_its_end():
    given(AGGREGATE, ASKED, HELD).when(replace(PIN, now=EARLY)).then(PINNED)
    given(AGGREGATE, ASKED, HELD).when(replace(PIN, now=UNTIL)).then(
        refused_to(ORDER, "quote_expired")
    )


@pytest.mark.parametrize("end", [EXPIRED, released("released", N1, N2)])
def test_a_quote_that_has_ended_is_not_pinned(end):
    given(AGGREGATE, ASKED, HELD, end).when(PIN).then(refused_to(ORDER, "quote_expired"))


@pytest.mark.parametrize("before", [(), (ASKED,)])
def test_what_is_not_held_is_not_pinned(before):
    given(AGGREGATE, *before).when(PIN).then(refused_to(ORDER, "quote_unknown"))


def test_a_strangers_quote_is_unknown():
    given(AGGREGATE, ASKED, HELD).when(replace(PIN, account_id=STRANGER)).then(
        refused_to(ORDER, "quote_unknown", STRANGER)
    )


def test_a_quote_with_something_missing_is_pinned_by_best_effort_only():
    before = (replace(ASKED, strategy="best_effort"), HELD_PARTLY)

    given(AGGREGATE, *before).when(PIN).then(refused_to(ORDER, "number_gone"))
    given(AGGREGATE, *before).when(replace(PIN, strategy="best_effort")).then(
        replace(PINNED, lines=(SHORT,), missing=(ONE_MISSING,))
    )


# Its end


def test_a_quote_expires_by_the_commands_now():
    given(AGGREGATE, ASKED, HELD).when(replace(EXPIRE, now=EARLY)).then()
    given(AGGREGATE, ASKED, HELD).when(EXPIRE).then(EXPIRED)
    given(AGGREGATE, ASKED, HELD, EXPIRED).when(EXPIRE).then()


def test_a_quote_that_was_never_filled_gives_back_all_it_went_for():
    given(AGGREGATE, ASKED, TRIED_MORE).when(EXPIRE).then(released("expired", N1, N2, N3))


@pytest.mark.parametrize(
    "before", [(ASKED, HELD, PINNED), (ASKED, HELD, PINNED, ALLOCATED), (ASKED_FOR_ORDER,)]
)
def test_what_belongs_to_an_order_never_expires(before):
    given(AGGREGATE, *before).when(replace(EXPIRE, now=UNTIL + timedelta(days=9999))).then()


def test_an_account_releases_its_quote_once():
    end = released("released", N1, N2)

    given(AGGREGATE, ASKED, HELD).when(RELEASE).then(end)
    given(AGGREGATE, ASKED, TRIED_MORE).when(RELEASE).then(released("released", N1, N2, N3))
    given(AGGREGATE, ASKED, HELD, end).when(RELEASE).then()


@pytest.mark.parametrize(
    "before",
    [
        (ASKED, HELD, PINNED),
        (ASKED, HELD, PINNED, ALLOCATED),
        (ASKED_FOR_ORDER,),
        (FREE_ASKED, AWAITS),
    ],
)
def test_what_belongs_to_an_order_is_not_released(before):
    given(AGGREGATE, *before).when(RELEASE).refused("quote_used")
    given(AGGREGATE, *before).when(EXTEND).refused("quote_used")


@pytest.mark.parametrize("command", [RELEASE, EXTEND])
def test_nobody_touches_a_strangers_quote(command):
    given(AGGREGATE, ASKED, HELD).when(replace(command, account_id=STRANGER)).refused(
        "quote_unknown"
    )
    given(AGGREGATE).when(command).refused("quote_unknown")


def test_a_failed_order_gives_its_numbers_back_once():
    given(AGGREGATE, ASKED, HELD, PINNED).when(FAIL).then(FAILED)
    given(AGGREGATE, ASKED, HELD, PINNED, FAILED).when(FAIL).then()


def test_an_order_that_fails_while_it_is_filled_gives_back_all_it_went_for():
    given(AGGREGATE, ASKED_FOR_ORDER, TRIED_MORE).when(FAIL).then(
        released("order_failed", N1, N2, N3, order_id=ORDER)
    )


@pytest.mark.parametrize("before", [(), (ASKED,), (ASKED, HELD), (ASKED, HELD, PINNED, ALLOCATED)])
def test_an_order_ends_only_what_it_has(before):
    given(AGGREGATE, *before).when(FAIL).then()
    given(AGGREGATE, ASKED, HELD, PINNED).when(replace(FAIL, order_id="ord_2")).then()


# Longer


def test_a_quote_is_extended():
    later = HoldExtended(hold_id=QUOTE, account_id=ACCOUNT, until=EXTEND.until)

    given(AGGREGATE, ASKED, HELD).when(EXTEND).then(later)
    given(AGGREGATE, ASKED, HELD, later).when(EXPIRE).then()
    given(AGGREGATE, ASKED, HELD, later).when(replace(EXPIRE, now=EXTEND.until)).then(EXPIRED)


def test_a_quote_lasts_an_hour_in_all():
    end = AT + timedelta(hours=1)
    last = HoldExtended(hold_id=QUOTE, account_id=ACCOUNT, until=end)

    given(AGGREGATE, ASKED, HELD).when(replace(EXTEND, until=end + timedelta(days=1))).then(last)
    given(AGGREGATE, ASKED, HELD, last).when(
        replace(EXTEND, until=end + timedelta(days=1), now=end - MOMENT)
    ).then()


def test_an_extension_never_shortens():
    given(AGGREGATE, ASKED, HELD).when(replace(EXTEND, until=EARLY)).then()


def test_what_has_expired_is_not_extended():
    given(AGGREGATE, ASKED, HELD).when(replace(EXTEND, now=UNTIL)).refused("quote_expired")
    given(AGGREGATE, ASKED, HELD, EXPIRED).when(EXTEND).refused("quote_expired")


# Allocating


def test_a_hold_says_once_which_numbers_were_allocated():
    given(AGGREGATE, ASKED, HELD, PINNED).when(RECORD_ALLOCATED).then(ALLOCATED)
    given(AGGREGATE, ASKED, HELD, PINNED, ALLOCATED).when(RECORD_ALLOCATED).then()


@pytest.mark.parametrize("before", [(), (ASKED, HELD), (ASKED, HELD, PINNED, FAILED)])
def test_only_a_pinned_hold_is_allocated(before):
    given(AGGREGATE, *before).when(RECORD_ALLOCATED).then()
    given(AGGREGATE, ASKED, HELD, PINNED).when(replace(RECORD_ALLOCATED, order_id="ord_2")).then()


def test_a_hold_knows_its_numbers_in_order():
    state = AGGREGATE.fold(Hold(), [ASKED, HELD])

    assert state.numbers == LINE.numbers == (N1, N2)
    assert state.items == TWO

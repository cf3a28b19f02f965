"""Ids that a retry makes again, and the two clocks."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import BusinessClock, MachineClock, micros_since_epoch
from shared.ids import command_id, derived_id, event_id_text, random_id
from tests.support.worlds import START, SteeredClock

SOME = uuid.UUID(int=1)


def test_a_derived_id_is_the_same_for_the_same_command_on_every_machine() -> None:
    assert derived_id("ord", SOME) == derived_id("ord", SOME) == "ord_3mpii5sdhfopbpbz3cbm"


def test_a_derived_id_differs_by_prefix_part_and_command() -> None:
    ids = {
        derived_id("ord", SOME),
        derived_id("num", SOME),
        derived_id("num", SOME, 1),
        derived_id("num", SOME, "+12125550123"),
        derived_id("ord", uuid.UUID(int=2)),
    }

    assert len(ids) == 5


@settings(print_blob=True, max_examples=50)
@given(st.uuids(), st.text(max_size=20))
def test_an_id_is_a_prefix_and_twenty_characters_that_fit_into_an_address(
    command: uuid.UUID, part: str
) -> None:
    for made in (derived_id("ord", command, part), random_id("ord")):
        assert re.fullmatch(r"ord_[a-z2-7]{20}", made)


def test_random_ids_are_not_repeated() -> None:
    assert len({random_id("key") for _ in range(1000)}) == 1000


def test_the_parts_of_a_command_id_do_not_run_together() -> None:
    assert command_id("a", "b") == command_id("a", "b")
    assert len({command_id("a", "b"), command_id("ab"), command_id("a", "", "b")}) == 3


def test_an_event_id_is_shown_in_hexadecimal() -> None:
    assert event_id_text(SOME.bytes) == "evt_00000000000000000000000000000001"


def test_business_time_is_machine_time_and_what_was_learnt() -> None:
    machine = SteeredClock()
    clock = BusinessClock(machine)
    assert clock.now() == START

    clock.learn(timedelta(days=31))
    machine.forward(hours=1)

    assert clock.now() == START + timedelta(days=31, hours=1)


def test_business_time_never_goes_back() -> None:
    clock = BusinessClock(SteeredClock())
    clock.learn(timedelta(days=2))

    clock.learn(timedelta(days=1))

    assert clock.offset == timedelta(days=2)


def test_machine_time_is_utc_and_now() -> None:
    before = micros_since_epoch()
    now = MachineClock().now()

    assert now.tzinfo is UTC
    assert before <= (now - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)

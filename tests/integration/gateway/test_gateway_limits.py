"""Limits are counted by the machine's clock, which may be put right while they are."""

from __future__ import annotations

import pytest
import time_machine

from services.gateway.limits import Limits
from shared.errors import RateLimited

NOW = 1_800_000_000.0
HOUR = 3600


def test_who_was_counted_by_a_clock_that_was_ahead_is_counted_anew_when_it_is_right() -> None:
    limits = Limits("3 per second")
    with time_machine.travel(NOW + HOUR, tick=False):
        limits.request("key_1")
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(20):
            limits.request("key_1")
            clock.shift(1)


def test_a_clock_that_was_put_right_gives_no_more_than_the_limit() -> None:
    limits = Limits("3 per second")
    with time_machine.travel(NOW + HOUR, tick=False):
        limits.request("key_1")
    with time_machine.travel(NOW, tick=False):
        for _ in range(5):  # Two of the old window, three of the new one.
            limits.request("key_1")
        with pytest.raises(RateLimited) as refused:
            limits.request("key_1")

    assert refused.value.retry_after == 1


def test_a_sign_in_locked_by_a_clock_that_was_ahead_is_free_when_it_is_right() -> None:
    limits = Limits("3 per second")
    with time_machine.travel(NOW + HOUR, tick=False):
        for _ in range(10):
            limits.login_failed("ann@example.com", "192.0.2.1")
        with pytest.raises(RateLimited):
            limits.login("ann@example.com", "192.0.2.1")
    with time_machine.travel(NOW, tick=False):
        limits.login("ann@example.com", "192.0.2.1")

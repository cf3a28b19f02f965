"""The breaker: a provider that does not answer is left alone for a while."""

from __future__ import annotations

import contextlib

import pytest

from shared.breaker import Breaker, BreakerOpenError


class Silence(Exception):
    """The provider did not answer."""


class Declined(Exception):
    """The provider answered: no."""


class Refused(Exception):
    """What this caller wants to see for an open breaker."""


class Time:
    """Monotonic seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker((Silence,), after=3, seconds=5, monotonic=time)


def silent() -> str:
    raise Silence


def declined() -> str:
    raise Declined


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Silence):
            breaker.guard(silent)


def test_answers_pass_through(breaker: Breaker) -> None:
    assert breaker.guard(lambda: "paid") == "paid"
    assert not breaker.is_open


def test_it_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 3)
    called: list[int] = []

    with pytest.raises(BreakerOpenError):
        breaker.guard(lambda: called.append(1))

    assert breaker.is_open
    assert called == []


def test_an_answer_in_between_counts(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.guard(lambda: "paid")
    fail(breaker, 2)

    assert not breaker.is_open


def test_a_refusal_by_the_provider_is_an_answer(breaker: Breaker) -> None:
    fail(breaker, 2)
    with pytest.raises(Declined):
        breaker.guard(declined)
    fail(breaker, 2)

    assert not breaker.is_open


def test_one_call_finds_out_whether_the_provider_is_back(breaker: Breaker, time: Time) -> None:
    fail(breaker, 3)
    time.now += 5

    def find_out() -> str:
        with pytest.raises(BreakerOpenError):
            breaker.guard(lambda: "a second one meanwhile")
        return "paid"

    assert breaker.guard(find_out) == "paid"
    assert breaker.guard(lambda: "paid") == "paid"


@pytest.mark.parametrize("answer", [declined, lambda: "paid"])
def test_any_answer_closes_it(breaker: Breaker, time: Time, answer: object) -> None:
    fail(breaker, 3)
    time.now += 5
    with contextlib.suppress(Declined):
        breaker.guard(answer)

    assert not breaker.is_open
    assert breaker.guard(lambda: "paid") == "paid"


def test_it_stays_open_while_the_provider_is_silent(breaker: Breaker, time: Time) -> None:
    fail(breaker, 3)
    time.now += 5
    fail(breaker, 1)

    assert breaker.is_open
    time.now += 4.9
    with pytest.raises(BreakerOpenError):
        breaker.guard(lambda: "paid")


def test_the_caller_says_what_an_open_one_raises(time: Time) -> None:
    breaker = Breaker((Silence,), Refused, after=1, monotonic=time)
    fail(breaker, 1)

    with pytest.raises(Refused, match="left alone"):
        breaker.guard(lambda: "paid")

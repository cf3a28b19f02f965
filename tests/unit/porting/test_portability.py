"""Whether a number could be ported in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services import porting
from services.porting.domain import portability
from services.porting.domain.portability import Verdict
from shared.errors import PbxError
from tests.support.worlds import World, context
from tests.unit.orders.teller import TOLD, purchased, tell


def judged(country: str, *texts: str, ours: tuple[str, ...] = ()) -> list[Verdict]:
    return portability.judge(country, texts, frozenset(ours))


class TestTheRules:
    @pytest.mark.parametrize(
        ("country", "written", "number"),
        [
            ("US", "+12125550123", "+12125550123"),
            ("US", "(212) 555-0123", "+12125550123"),
            ("GB", "020 7946 0958", "+442079460958"),
            ("GB", "07400 123456", "+447400123456"),
            ("NL", "+31 88 123 45 67", "+31881234567"),
            ("US", "800 234 5678", "+18002345678"),
            ("CA", "+1 800 234 5678", "+18002345678"),
        ],
    )
    def test_a_number_of_the_country_can_be_ported(
        self, country: str, written: str, number: str
    ) -> None:
        assert judged(country, written) == [Verdict(number)]

    @pytest.mark.parametrize("written", ["", "hello", "+1212", "+1 212 055 0123", "+999 123456"])
    def test_what_is_no_number_is_invalid_and_named_as_it_was_sent(self, written: str) -> None:
        assert judged("US", written) == [Verdict(written, "number_invalid")]

    def test_a_number_of_another_country_is_refused(self) -> None:
        assert judged("CA", "+12125550123") == [Verdict("+12125550123", "country_mismatch")]

    def test_a_premium_rate_number_is_not_portable(self) -> None:
        assert judged("GB", "+449098790879") == [Verdict("+449098790879", "not_portable")]

    def test_a_number_that_is_with_us_is_refused(self) -> None:
        assert judged("US", "+12125550123", ours=("+12125550123",)) == [
            Verdict("+12125550123", "already_ours")
        ]

    def test_a_number_that_is_named_twice_is_refused_the_second_time(self) -> None:
        assert judged("US", "+12125550123", "212 555 0123") == [
            Verdict("+12125550123"),
            Verdict("+12125550123", "duplicate_number"),
        ]

    def test_a_verdict_has_a_sentence(self) -> None:
        (verdict,) = judged("GB", "+449098790879")

        assert verdict.detail == "Numbers of this type cannot be ported."
        assert Verdict("+12125550123").detail == ""

    @pytest.mark.parametrize(
        ("country", "numbers", "code"),
        [
            ("XX", ["+12125550123"], "invalid_value"),
            ("", ["+12125550123"], "invalid_value"),
            ("US", [], "no_numbers"),
            ("US", ["+12125550123"] * 1001, "too_many_numbers"),
        ],
    )
    def test_a_question_that_cannot_be_answered_is_refused(
        self, country: str, numbers: list[str], code: str
    ) -> None:
        with pytest.raises(PbxError) as caught:
            portability.check_request(country, numbers)

        assert caught.value.code == code

    def test_a_country_may_be_written_small(self) -> None:
        assert portability.check_request("us", ["+12125550123"] * 1000) == "US"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [porting.spec(), TOLD])
    yield made
    made.close()


def check(world: World, country: str, *numbers: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = world.client.call(
        "porting", "check_portability", context(), country=country, numbers=list(numbers)
    )
    return answer


class TestTheService:
    def test_each_number_has_its_verdict_in_order(self, world: World) -> None:
        assert check(world, "us", "212 555 0123", "hello") == [
            {"number": "+12125550123", "portable": True, "code": None, "detail": ""},
            {
                "number": "hello",
                "portable": False,
                "code": "number_invalid",
                "detail": "This is not a phone number.",
            },
        ]

    def test_a_number_somebody_has_with_us_is_already_ours(self, world: World) -> None:
        tell(world, purchased(1, "acct_2"))

        codes = [row["code"] for row in check(world, "US", "+12125550001", "+12125550002")]
        assert codes == ["already_ours", None]

    def test_a_thousand_numbers_are_judged_together(self, world: World) -> None:
        tell(world, purchased(999))

        verdicts = check(world, "US", *(f"+1212555{n:04d}" for n in range(1000)))
        assert [v["number"] for v in verdicts if not v["portable"]] == ["+12125550999"]

    def test_refusals_cross_rpc(self, world: World) -> None:
        with pytest.raises(PbxError, match="no_numbers"):
            check(world, "US")

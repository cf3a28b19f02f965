"""The judge of the search: it waits for what is on its way, and finds what stays wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.filling import Filler
from bench.report import WrongAnswerError
from bench.stock import file_blocks
from bench.truth import Question, Truth, agree
from services.inventory.messages import StockBlock
from shared.rpc import OWNER, CallContext

QUESTION: Question = {"country": "US"}


@pytest.fixture
def filler(tmp_path: Path) -> Iterator[Filler]:
    """A folder with an account and a block in the United States."""
    made = Filler(tmp_path / "filled")
    made.add_accounts(1)
    made.add_stock(stock())
    made.build_views()
    yield made
    made.assembly.close()


def stock() -> list[StockBlock]:
    return [b for b in file_blocks() if b.place.country == "US" and b.count == 100][:1]


def answer(filler: Filler) -> dict[str, int]:
    account = filler.buyers[0].account_id
    context = CallContext(account_id=account, actor="test", roles=(OWNER,), correlation_id="test")
    page = filler.assembly.client.call("inventory", "search_available", context, **QUESTION)
    return {row["offer_id"]: row["available"] for row in page["data"]}


def test_numbers_taken_after_the_first_look_are_no_wrong_answer(filler: Filler) -> None:
    log, truth, asked = filler.assembly.runtime.application.log, Truth(), []

    def ask() -> dict[str, int]:
        if not asked:
            filler.hold_share(stock(), 0.03)
            filler.build_views()
        asked.append(answer(filler))
        return asked[-1]

    agree(ask, QUESTION, truth, log)
    assert [sum(found.values()) for found in asked] == [97, 97]


def test_a_view_that_is_behind_has_time_to_catch_up(filler: Filler) -> None:
    log, truth, asked = filler.assembly.runtime.application.log, Truth(), []
    filler.hold_share(stock(), 0.03)

    def ask() -> dict[str, int]:
        if asked:
            filler.build_views()
        asked.append(answer(filler))
        return asked[-1]

    agree(ask, QUESTION, truth, log)
    assert [sum(found.values()) for found in asked] == [100, 97]


def test_a_count_that_stays_wrong_is_found(filler: Filler) -> None:
    log, offer_id = filler.assembly.runtime.application.log, stock()[0].offer_id
    filler.hold_share(stock(), 0.03)
    with pytest.raises(WrongAnswerError, match=f"{offer_id} has 100 instead of 97"):
        agree(lambda: answer(filler), QUESTION, Truth(), log, patience=0.3)


def test_an_offer_that_is_missing_is_found(filler: Filler) -> None:
    log, offer_id = filler.assembly.runtime.application.log, stock()[0].offer_id
    with pytest.raises(WrongAnswerError, match=f"{offer_id} has 0 instead of 100"):
        agree(dict, QUESTION, Truth(), log, patience=0.0)

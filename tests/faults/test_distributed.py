"""The short form of ``make faults``, and what shows that its judge can be believed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

import pytest

from tests.faults.distributed.judge import Verdict
from tests.faults.distributed.load import Load
from tests.faults.distributed.player import Player
from tests.faults.distributed.run import RECOVERY_SECONDS, Row, Run
from tests.faults.distributed.system import System
from tests.faults.distributed.table import table

# In this order: processes, a deployment, one of two relays, servers, and one with a protection off.
SHORT = [
    "fail-points",
    "rolling-restart",
    "stand-by",
    "broker-kill",
    "database-kill",
    "no-payment-key",
]


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(420)
def test_whatever_dies_nothing_is_lost_or_doubled_and_without_its_key_a_card_is_charged_twice(
    tmp_path: Path,
) -> None:
    rows = Player(tmp_path, seed=7, short=True, customers=4).play(SHORT)
    print(table(rows, head=True, total=True))

    found = {row.name: row.verdict for row in rows}
    assert found.pop("no-payment-key").doubled
    assert {name: verdict.all() for name, verdict in found.items() if not verdict.fine} == {}
    slow = {row.name: row.run.notes for row in rows if not row.passed}
    assert slow == {}, f"of use again in {RECOVERY_SECONDS} s of a machine of its own"
    planned, reached = rows[0].run.planned, rows[0].run.reached
    assert len(reached) >= 0.9 * len(planned) > 10
    assert sum(row.run.kills for row in rows) >= 20
    assert sum(row.acknowledged for row in rows) >= 100


@pytest.mark.parametrize(("seconds", "passed"), [(9.9, True), (10.1, False), (float("inf"), False)])
def test_a_scenario_fails_by_a_recovery_over_the_limit_alone(seconds: float, passed: bool) -> None:
    run = Run(cast("System", None), cast("Load", None), random.Random(1), counted=[1.0, seconds])

    assert Row("stand-by", 1, 100, run, Verdict(), 60.0).passed is passed

"""The short form of ``make faults``, and what shows that its judge can be believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.distributed.player import Player
from tests.faults.distributed.table import table

# In this order: processes, servers, a deployment, two of each, and one with a protection off.
SHORT = ["fail-points", "rolling-restart", "broker-kill", "database-kill", "no-payment-key"]


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
    planned, reached = rows[0].run.planned, rows[0].run.reached
    assert len(reached) >= 0.9 * len(planned) > 10
    assert sum(row.run.kills for row in rows) >= 20
    assert sum(row.acknowledged for row in rows) >= 100

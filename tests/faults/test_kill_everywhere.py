"""SIGKILL at every fail-point of a purchase, judged by client's ledger and provider's book."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.kill_everywhere import at_its_place, shares

ROOT = Path(__file__).resolve().parents[2]
_SHARDS = 2  # As many as the machine has cores; together they cover every fail-point.
_KINDS = {"append", "checkpoint", "effect", "answer"}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shard", range(_SHARDS))
def test_killed_anywhere_nothing_is_lost_charged_twice_or_left_held(
    shard: int, tmp_path: Path
) -> None:
    lines = _run(tmp_path, shard)
    tries, last = lines[:-1], lines[-1]

    print(f"fail-points reached/planned: {last['reached']}/{last['planned']}")
    assert [(one["try"], one["problems"]) for one in tries if one["problems"]] == []
    assert {one["status"] for one in tries} <= {"fulfilled", "failed"}
    assert last["planned"] > 20
    # Batches differ a little from run to run, so the last fail-points may lie behind the end.
    assert last["reached"] >= 0.9 * last["planned"]
    places = {one["try"].split()[-1] for one in tries if one["killed"]}
    assert {p.split(".")[0] for p in places} == _KINDS
    assert {p.split(".")[1] for p in places} == {"before", "after"}


def test_every_shard_dies_before_and_after_everything_that_is_done() -> None:
    # The places of a purchase alternate, so that every second one is of one kind.
    places = [f"append.{when}" for _ in range(8) for when in ("before", "after")]
    places += ["effect.before", "checkpoint.after", "effect.after", "checkpoint.after"]
    dealt = shares([f"{n} {place}" for n, place in enumerate(places, start=1)], 2)

    assert sorted(n for share in dealt for n in share) == list(range(1, 21))
    for share in dealt:
        assert [places[n - 1] for n in share].count("append.before") == 4
        assert [places[n - 1] for n in share].count("append.after") == 4
        assert {places[n - 1].split(".")[0] for n in share} == {"append", "effect", "checkpoint"}


def test_a_fail_point_is_named_by_its_place_and_how_often_that_was_reached() -> None:
    places = ["1 append.before", "2 append.after", "3 append.before", "4 answer.before"]

    named = [at_its_place(places, n) for n in range(1, 5)]

    assert named == ["1@append.before", "1@append.after", "2@append.before", "1@answer.before"]


def _run(folder: Path, shard: int) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kill_everywhere", folder, str(shard), str(_SHARDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]

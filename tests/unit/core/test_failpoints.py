"""Fail-points: harmless unless armed; armed they write down, or kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import failpoints

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


def reach_all(*places: str) -> None:
    for place in places:
        failpoints.reach(place)


def test_an_unarmed_place_does_nothing(tmp_path: Path) -> None:
    failpoints.arm(None)
    reach_all("a", "b")

    assert list(tmp_path.iterdir()) == []


def test_places_are_written_down_as_they_are_reached(tmp_path: Path) -> None:
    failpoints.arm(f"record:{tmp_path / 'places'}")
    reach_all("a", "b", "a")

    assert (tmp_path / "places").read_text() == "1 a\n2 b\n3 a\n"


def test_arming_anew_begins_to_count_anew(tmp_path: Path) -> None:
    for name in ("one", "two"):
        failpoints.arm(f"record:{tmp_path / name}")
        reach_all("a")

    assert (tmp_path / "two").read_text() == "1 a\n"
    failpoints.arm(None)
    reach_all("a")
    assert (tmp_path / "two").read_text() == "1 a\n"


@pytest.mark.parametrize("spec", ["kill:4", "kill:2@here"])
def test_the_nth_place_kills_and_nothing_behind_it_is_done(spec: str) -> None:
    program = (
        "from shared import failpoints\n"
        f"failpoints.arm('{spec}')\n"
        "for n in range(3):\n"
        "    print(n, flush=True)\n"
        "    failpoints.reach('there')\n"
        "    failpoints.reach('here')\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == "0\n1\n"


def test_an_order_is_carried_out_once_by_the_process_it_was_given_to(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from shared import failpoints\n"
        "failpoints.arm(sys.argv[1], sys.argv[2])\n"
        "for n in range(3):\n"
        "    print(n, flush=True)\n"
        "    failpoints.reach('there')\n"
        "    failpoints.reach('here')\n"
    )

    def run(process: str) -> tuple[int, str]:
        command = [sys.executable, "-c", program, f"orders:{tmp_path}", process]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
        )
        return done.returncode, done.stdout

    failpoints.order(tmp_path, "one", "here", 2)
    others = run("another")
    killed = run("one")
    again = run("one")

    assert others == (0, "0\n1\n2\n")
    assert killed == (-signal.SIGKILL, "0\n1\n")
    assert again == (0, "0\n1\n2\n")
    assert failpoints.carried_out(tmp_path) == [("one", "here")]


def test_an_order_that_is_taken_back_kills_nobody(tmp_path: Path) -> None:
    failpoints.order(tmp_path, "one", "here")
    failpoints.withdraw(tmp_path, "one")
    failpoints.arm(f"orders:{tmp_path}", "one")
    reach_all("here")

    assert failpoints.carried_out(tmp_path) == []

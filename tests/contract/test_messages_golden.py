"""Events live for ever: what is stored today must be readable by every later version.

A test fails here? For a new event run ``python -m tests.contract.regenerate_golden``. A changed one
gets a new version and an upcaster first.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shared.messages import EVENTS
from tests.contract import golden_messages as golden
from tests.contract.regenerate_golden import regenerate

ROOT = Path(__file__).parents[2]
SAMPLES = list(golden.stored_samples())
CURRENT = golden.our_events()


def test_every_event_is_pinned_as_it_is() -> None:
    pinned = golden.pinned()

    now = {name: golden.described(kind) for name, kind in CURRENT.items()}
    as_pinned = {n: pinned.get(n, {}).get(str(k.version)) for n, k in CURRENT.items()}
    assert now == as_pinned, "see the top of this file"


def test_no_pinned_event_is_gone() -> None:
    assert set(golden.pinned()) <= set(CURRENT)


def test_versions_of_an_event_lead_to_the_current_one() -> None:
    for name, versions in golden.pinned().items():
        kind = CURRENT[name]
        assert sorted(map(int, versions)) == list(range(1, kind.version + 1)), name
        assert sorted(kind.upcasters) == list(range(1, kind.version)), name


def test_every_version_has_a_stored_sample() -> None:
    pinned = {(name, int(v)) for name, versions in golden.pinned().items() for v in versions}

    assert {(name, version) for name, version, _ in SAMPLES} == pinned


@pytest.mark.parametrize(("name", "version", "payload"), SAMPLES, ids=lambda x: str(x)[:40])
def test_a_stored_event_is_still_readable(name: str, version: int, payload: bytes) -> None:
    kind = CURRENT[name]

    message = golden.codec().decode(name, version, payload, golden.EVENT_ID)

    assert isinstance(message, kind.cls)
    if version == kind.version:
        assert message == golden.sample(kind.cls)


@pytest.mark.parametrize(("name", "version", "payload"), SAMPLES, ids=lambda x: str(x)[:40])
def test_a_stored_event_is_canonical_json(name: str, version: int, payload: bytes) -> None:
    fields = json.loads(payload)
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert canonical.encode() == payload
    assert set(fields) == set(golden.pinned()[name][str(version)]["fields"])


@pytest.mark.parametrize(("name", "version", "payload"), SAMPLES, ids=lambda x: str(x)[:40])
def test_sealed_fields_are_not_legible(name: str, version: int, payload: bytes) -> None:
    fields = json.loads(payload)

    for field in golden.pinned()[name][str(version)]["sealed"]:
        assert field not in fields[field]
        assert len(fields[field]) >= 40, "nonce and tag alone are longer"


def test_events_are_defined_where_this_suite_looks() -> None:
    files = [*ROOT.glob("shared/**/*.py"), *ROOT.glob("services/**/*.py")]
    defining = {file for file in files if re.search(r"^@event\(", file.read_text(), re.MULTILINE)}
    looked_into = {kind.cls.__module__.replace(".", "/") + ".py" for kind in CURRENT.values()}

    assert {str(file.relative_to(ROOT)) for file in defining} == looked_into


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The golden files in a folder where they may be changed."""
    (tmp_path / "stored").mkdir()
    for file in [golden.MESSAGES, *golden.STORED.glob("*.json")]:
        (tmp_path / file.relative_to(golden.GOLDEN)).write_bytes(file.read_bytes())
    monkeypatch.setattr(golden, "MESSAGES", tmp_path / "messages.json")
    monkeypatch.setattr(golden, "STORED", tmp_path / "stored")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.json")}


def test_regenerating_changes_nothing_that_is_pinned(copied: Path) -> None:
    before = contents(copied)

    assert regenerate() == []
    assert contents(copied) == before


def test_regenerating_refuses_a_version_with_other_fields(copied: Path) -> None:
    pinned = golden.pinned()
    del pinned["OrderPaid"]["1"]["fields"]["amount"]
    golden.MESSAGES.write_text(json.dumps(pinned))
    before = contents(copied)

    assert regenerate() == ["OrderPaid version 1 has other fields than it is pinned with."]
    assert contents(copied) == before


def test_regenerating_refuses_to_forget_an_event(copied: Path) -> None:
    pinned = golden.pinned() | {"OnceThere": {"1": {}}}
    golden.MESSAGES.write_text(json.dumps(pinned))
    before = contents(copied)

    assert regenerate() == ["OnceThere is gone; logs hold it for ever."]
    assert contents(copied) == before


def test_regenerating_adds_what_is_new(copied: Path) -> None:
    before = contents(copied)
    pinned = golden.pinned()
    del pinned["OrderPaid"]
    golden.MESSAGES.write_text(json.dumps(pinned))
    golden.sample_file("OrderPaid", 1).unlink()

    assert regenerate() == []
    assert contents(copied).keys() == before.keys()
    assert contents(copied)["messages.json"] == before["messages.json"]


def test_the_registry_knows_events_by_their_written_names() -> None:
    assert all(EVENTS[name].name == name for name in CURRENT)
    assert len({kind.cls for kind in CURRENT.values()}) == len(CURRENT)

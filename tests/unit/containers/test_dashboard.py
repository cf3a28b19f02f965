"""Grafana's dashboard has what Grafana asks for. What it queries: tests/integration/bus."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.containers.compose import ROOT

BOARD = json.loads((ROOT / "deploy/grafana/numbers.json").read_text())
PANELS = BOARD["panels"]


def test_it_has_an_id_of_its_own_a_title_and_a_version_of_its_form() -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", BOARD["uid"])
    assert BOARD["title"]
    assert BOARD["schemaVersion"] >= 36
    assert "id" not in BOARD, "it is Grafana's to give"


def test_whoever_imports_it_chooses_the_data_source() -> None:
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    sources = [one["datasource"] for panel in PANELS for one in (panel, *panel["targets"])]

    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert {json.dumps(one) for one in sources} == {
        json.dumps({"type": "prometheus", "uid": "${datasource}"})
    }


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_place_an_explanation_and_queries_with_legends(panel: dict) -> None:
    place = panel["gridPos"]

    assert panel["type"] in {"timeseries", "stat"}
    assert panel["description"].endswith(".")
    assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
    assert [one["refId"] for one in panel["targets"]] == list("ABCD"[: len(panel["targets"])])
    for one in panel["targets"]:
        assert one["expr"].count("(") == one["expr"].count(")")
        assert 'job=~"$job"' in one["expr"]
        assert one["legendFormat"]


def test_no_two_panels_have_one_id_or_lie_on_each_other() -> None:
    taken = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len(set(taken)) == len(taken)

"""Every metric and every label that the dashboard asks for is one that a process really shows, and
the page about watching tells of all of them."""

from __future__ import annotations

import json
import re
import signal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.metrics import Calls, Measured, of_runtime, together
from services.gateway.surroundings import metrics_of
from tests.integration.bus.listening import ROOT, RelayProcess, Writer
from tests.integration.bus.nameko_processes import Called
from tests.support.asking import fetch
from tests.support.rabbitmq import Broker, free_port
from tests.support.worlds import context

pytestmark = pytest.mark.broker
_GROUPED = re.compile(r"by \(([^)]*)\)")
_NAMES = re.compile(r"\b(?:pbxim|process)_\w+")


def shown(text: str) -> dict[str, set[str]]:
    """The labels of each series that is shown."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        found.setdefault(family.name, set())
        for one in family.samples:
            found.setdefault(one.name, set()).update(one.labels)
    return found


@pytest.fixture(scope="module")
def series(
    called: Called, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[str]]:
    """What relay, nameko and gateway show after some work."""
    called.client.call("odd", "echo", context(), thing=1)
    texts = [fetch(called.health, "/metrics")[1]]
    port = free_port()
    data = tmp_path_factory.mktemp("relay") / "data"
    data.mkdir()
    writer = Writer(data)
    relay = RelayProcess(data, broker.uri)
    relay.more = {"PBXIM_HEALTH": f"127.0.0.1:{port}"}
    relay.start().said("relay_active")
    fetch(port, "/metrics")  # From now on it counts.
    writer.write(1)
    texts.append(fetch(port, "/metrics")[1])
    writer.log.close()
    relay.process.send_signal(signal.SIGTERM)
    assert relay.ended() == 0
    relay.close()
    calls = Calls("client")
    Measured(called.client, calls).call("odd", "echo", context(), thing=1)
    runtime = called.site.app.extensions["pbxim"].runtime
    metrics_of(called.site.app).also(together(calls.collect, *of_runtime(runtime)))
    called.site.visitor.get("/v1/countries")
    texts.append(called.site.visitor.get("/metrics").text)
    found: dict[str, set[str]] = {}
    for text in texts:
        for name, labels in shown(text).items():
            found.setdefault(name, set()).update(labels)
    return found


def test_the_dashboard_asks_for_what_there_is(series: dict[str, set[str]]) -> None:
    board = json.loads((ROOT / "deploy/grafana/numbers.json").read_text())
    queries = [one["expr"] for panel in board["panels"] for one in panel["targets"]]

    assert len(queries) > 15
    for query in queries:
        names = set(_NAMES.findall(query))
        assert names, query
        assert names <= set(series), query
        # Those of Prometheus itself come with the scrape. Without work nothing has these labels.
        known = set().union(*(series[name] for name in names)) | {"job", "instance", "le"}
        if names.isdisjoint({"pbxim_parked", "pbxim_effects"}):
            grouped = {word for by in _GROUPED.findall(query) for word in by.split(", ")}
            assert grouped <= known, query


def test_the_page_about_watching_tells_of_every_metric_of_ours(series: dict[str, set[str]]) -> None:
    page = (ROOT / "docs/how-to/watch-it.md").read_text()
    told = set(re.findall(r"`(pbxim_\w+)", page))
    parts = ("_bucket", "_count", "_sum")
    ours = {n for n in series if n.startswith("pbxim_") and not n.endswith(parts)}
    counters = {name for name in ours if f"{name}_total" in ours}

    assert told == ours - counters

"""What is counted, and how it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric

from deploy.metrics import Calls, LogEvents, Measured, Waiting, of_relay, together
from shared import metrics
from shared.consumers import effect_rows
from shared.consumers.parking import PARKING, parked
from shared.errors import Conflict, Unavailable
from shared.eventlog import Entry, NewEvent
from shared.eventlog.sqlite import SqliteLog
from shared.refusals import refusal
from shared.rpc import CallContext
from shared.stores import SqliteStore
from tests.support.worlds import START, context


def lines(collect: Callable[[], Iterable[Metric]]) -> list[str]:
    return metrics.text(collect()).decode().splitlines()


class Somebody:
    """Answers, refuses or fails, by the name of the method."""

    def call(self, service: str, method: str, context: CallContext, **arguments: object) -> object:
        if method == "refuse":
            raise refusal("number_gone")
        if method == "vanish":
            raise refusal("service_unavailable")
        if method == "explode":
            raise ZeroDivisionError
        return arguments


def test_calls_are_measured_by_method_and_outcome() -> None:
    calls = Calls("client")
    client = Measured(Somebody(), calls)

    assert client.call("orders", "get_order", context(), order_id="ord_1") == {"order_id": "ord_1"}
    for method, error in (
        ("refuse", Conflict),
        ("vanish", Unavailable),
        ("explode", ZeroDivisionError),
    ):
        with pytest.raises(error):
            client.call("orders", method, context())

    found = lines(calls.collect)
    for method, outcome in (
        ("get_order", "ok"),
        ("refuse", "refused"),
        ("vanish", "unavailable"),
        ("explode", "broken"),
    ):
        labels = f'method="{method}",outcome="{outcome}",service="orders"'
        assert f"pbxim_rpc_client_seconds_count{{{labels}}} 1.0" in found
    assert "# TYPE pbxim_rpc_client_seconds histogram" in found
    assert not any("_created" in line for line in found), "twice as many series"


def append(log: SqliteLog, *types: str) -> None:
    for name in types:
        event = NewEvent(f"{log.head() + 1:016}".encode(), "acct_1", name, 1, b"{}", b"{}")
        log.append_batch([Entry(f"order-{log.head()}", "order", 0, (event,))])


def test_events_and_ends_of_orders_are_counted_from_the_log_once_each(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    append(log, "OrderPlaced")
    counted = LogEvents(log)
    before = lines(counted.collect)
    append(log, "OrderPlaced", "OrderFailed", *["OrderFulfilled"] * 600)

    found = lines(counted.collect)

    assert lines(counted.collect) == found
    log.close()
    assert not any(line.startswith("pbxim_events_total") for line in before)
    assert 'pbxim_orders_total{outcome="fulfilled"} 0.0' in before
    assert 'pbxim_events_total{type="OrderPlaced"} 1.0' in found
    assert 'pbxim_orders_total{outcome="fulfilled"} 600.0' in found
    assert 'pbxim_orders_total{outcome="failed"} 1.0' in found
    assert 'pbxim_orders_total{outcome="needs_operator"} 0.0' in found


def test_what_waits_in_the_state_is_counted_by_whom_and_how(tmp_path: Path) -> None:
    state = SqliteStore(tmp_path / "state.db", durable=False)
    assert not any("{" in line for line in lines(Waiting(state).collect))
    state.create(PARKING)
    aside = {"consumer": "policy:orders", "stream": "s", "type": "T", "attempts": 1}
    aside |= {"due_at": START, "since": START, "error": ""}
    work = {"service": "billing", "name": "charge", "position": 1, "key": "k", "due_at": START}
    work |= {"attempts": 1, "provider_key": "p", "error": "", "claimed_until": None}
    with state.write() as connection:
        for position, status in enumerate(["retrying", "waiting", "waiting"]):
            connection.execute(parked.insert().values(position=position, status=status, **aside))
        for name, sent in (("a", False), ("b", False), ("c", True)):
            connection.execute(effect_rows.effect.insert().values(id=name, maybe_sent=sent, **work))
        called = {"id": "d", "maybe_sent": True} | work | {"claimed_until": START}
        connection.execute(effect_rows.effect.insert().values(**called))

    found = lines(Waiting(state).collect)

    state.close()
    assert 'pbxim_parked{consumer="policy:orders",status="retrying"} 1.0' in found
    assert 'pbxim_parked{consumer="policy:orders",status="waiting"} 2.0' in found
    assert 'pbxim_effects{service="billing",state="waiting"} 2.0' in found
    assert 'pbxim_effects{service="billing",state="unknown"} 1.0' in found
    assert 'pbxim_effects{service="billing",state="calling"} 1.0' in found


def test_one_collector_that_fails_takes_nothing_from_the_others() -> None:
    def broken() -> Iterable[Metric]:
        raise refusal("service_unavailable")

    relay = of_relay(40, 100, active=True, waits=False)
    found = lines(together(broken, lambda: relay))

    assert "pbxim_relay_lag 60.0" in found
    assert "pbxim_relay_active 1.0" in found


def test_a_metric_that_two_tell_of_is_told_once() -> None:
    twice = metrics.text([metrics.gauge("pbxim_x", "", 1)], [metrics.gauge("pbxim_x", "", 2)])

    assert twice.decode().splitlines() == ["# HELP pbxim_x ", "# TYPE pbxim_x gauge", "pbxim_x 1.0"]

"""Routing through a whole process: what it hears, how it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services import routing
from services.routing import policies
from services.routing.messages import ConfigureRoute, LabelsChanged, RouteConfigured
from shared.errors import NotAllowed, NotFound, Stale
from shared.rpc import STAFF, VIEWER
from tests.support.worlds import World, context
from tests.unit.orders import facts as f
from tests.unit.orders.facts import happened
from tests.unit.orders.teller import TOLD, Tell, purchased, tell


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [routing.spec(), TOLD])
    yield made
    made.close()


def call(world: World, method: str, *, account_id: str = f.ACCOUNT, **arguments: Any) -> Any:
    """Calls routing as an owner, unless said otherwise."""
    key = arguments.pop("key", "k1")
    more = {name: arguments.pop(name) for name in ("roles",) if name in arguments}
    return world.client.call("routing", method, context(account_id, key=key, **more), **arguments)


def test_a_new_number_is_set_up_with_2_channels_and_sms_as_agreed() -> None:
    bought = purchased(1, terms=f.terms(0, 1, sms=False))

    assert policies.react(happened(bought)) == [
        ConfigureRoute(
            num_id="num_1",
            number="+12125550001",
            account_id=f.ACCOUNT,
            max_channels=2,
            sms=False,
        )
    ]


def test_what_is_of_no_concern_is_passed_over() -> None:
    assert policies.react(happened(f.PLACED)) == []


def test_a_purchase_told_twice_sets_the_number_up_once(world: World) -> None:
    tell(world, purchased(1))
    tell(world, purchased(1))

    assert len(world.messages(RouteConfigured)) == 1


@pytest.mark.parametrize("written", ["num_1", "+12125550001", "+1 212 555 0001"])
def test_a_route_is_found_by_id_or_number(world: World, written: str) -> None:
    tell(world, purchased(1))

    assert call(world, "get_route", number_or_num_id=written) == {
        "num_id": "num_1",
        "number": "+12125550001",
        "account_id": f.ACCOUNT,
        "max_channels": 2,
        "sms": True,
        "labels": [],
        "labels_version": 1,
        "position": world.happened(RouteConfigured)[0].position,
    }


@pytest.mark.parametrize("written", ["num_1", "+12125550001", "nonsense"])
def test_another_accounts_route_is_unknown(world: World, written: str) -> None:
    tell(world, purchased(1, "acct_2"))

    with pytest.raises(NotFound, match="number_unknown"):
        call(world, "get_route", number_or_num_id=written)


def test_staff_sees_every_route(world: World) -> None:
    tell(world, purchased(1, "acct_2"))

    shown = call(world, "get_route", roles=(STAFF,), number_or_num_id="num_1")
    assert shown["account_id"] == "acct_2"


def test_a_number_means_the_accounts_newest_time_with_it(world: World) -> None:
    tell(world, purchased(1, num_id="num_a"), purchased(1, num_id="num_b"))

    assert call(world, "get_route", number_or_num_id="+12125550001")["num_id"] == "num_b"


def test_labels_are_answered_and_shown(world: World) -> None:
    tell(world, purchased(1))

    answer = call(world, "set_labels", num_id="num_1", labels=["VIP", "vip", "Inbound"])
    world.settle()
    shown = call(world, "get_route", number_or_num_id="num_1")
    (event,) = world.happened(LabelsChanged)
    assert (answer["labels"], answer["position"]) == (["VIP", "Inbound"], event.position)
    assert shown == answer


def test_an_edit_of_an_old_version_is_refused(world: World) -> None:
    tell(world, purchased(1))
    read = call(world, "get_route", number_or_num_id="num_1")["labels_version"]
    call(world, "set_labels", num_id="num_1", labels=["One"], if_version=read)

    with pytest.raises(Stale, match="edited_meanwhile"):
        call(world, "set_labels", key="k2", num_id="num_1", labels=["Two"], if_version=read)


def test_another_accounts_number_cannot_be_labelled(world: World) -> None:
    tell(world, purchased(1, "acct_2"))

    with pytest.raises(NotFound, match="number_unknown"):
        call(world, "set_labels", num_id="num_1", labels=["Mine"])


def test_a_viewer_labels_nothing(world: World) -> None:
    tell(world, purchased(1))

    with pytest.raises(NotAllowed, match="role_required"):
        call(world, "set_labels", roles=(VIEWER,), num_id="num_1", labels=["Mine"])


def test_a_number_can_be_labelled_as_soon_as_the_caller_has_seen_it(world: World) -> None:
    world.assembly.engine.start()
    try:
        world.execute(Tell(stream="others", events=(purchased(1),)))
        answer = call(world, "set_labels", num_id="num_1", labels=["New"])
    finally:
        world.assembly.engine.stop(5.0)

    assert answer["labels"] == ["New"]


def test_a_rebuilt_view_is_the_same(world: World) -> None:
    tell(world, purchased(1))
    call(world, "set_labels", num_id="num_1", labels=["VIP"])
    world.settle()
    before = call(world, "get_route", number_or_num_id="num_1")
    for projection in world.assembly.projections():
        projection.rebuild()
    world.settle()

    assert before["labels"] == ["VIP"]
    assert call(world, "get_route", number_or_num_id="num_1") == before

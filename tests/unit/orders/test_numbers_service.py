"""An account's numbers: found, listed, searched, described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services import orders, routing
from services.orders import views
from services.orders.messages import BeginTenure, NumberDescribed
from services.orders.projections import tenure
from services.routing.messages import LabelsChanged, RouteConfigured
from shared.errors import NotAllowed, NotFound, PbxError, Stale
from shared.rpc import STAFF, VIEWER
from tests.support.worlds import World, context
from tests.unit.orders import facts as f
from tests.unit.orders.teller import TOLD, purchased

LONDON = f.Place(country="GB", region="", city="London", area_code="20", type="geographic")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [orders.spec(), routing.spec(), TOLD])
    yield made
    made.close()


def call(world: World, method: str, **arguments: Any) -> Any:
    """Calls orders as the owner of acct_1, unless said otherwise."""
    account_id = arguments.pop("account_id", f.ACCOUNT)
    key = arguments.pop("key", "k1")
    more = {"roles": arguments.pop("roles")} if "roles" in arguments else {}
    return world.client.call("orders", method, context(account_id, key=key, **more), **arguments)


def numbers(world: World, **wanted: Any) -> list[str]:
    """The numbers of a list."""
    return [row["number"] for row in call(world, "list_numbers", **wanted)["data"]]


def begun(world: World, n: int, account_id: str = f.ACCOUNT, **changed: Any) -> str:
    """A tenure as orders itself records it, in the stream of the number; its id."""
    message = purchased(n, account_id, **changed)
    fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
    world.execute(BeginTenure(**fields))
    world.settle()
    return message.num_id


class TestOneNumber:
    def test_a_number_is_shown_with_the_terms_agreed(self, world: World) -> None:
        begun(world, 1)

        shown = call(world, "get_number", number_or_num_id="num_1")
        assert (shown["number"], shown["num_id"]) == ("+12125550001", "num_1")
        assert shown["display"] == "+1 (212) 555-00-01"
        assert (shown["status"], shown["origin"], shown["city"]) == (
            "active",
            "purchased",
            "New York",
        )
        assert shown["monthly_cost"] == {"amount": "1.26", "currency": "USD"}
        assert shown["per_minute"] == {"amount": "0.01", "currency": "USD"}
        assert (shown["labels"], shown["description"]) == ([], "")

    def test_routing_sets_the_number_up_with_the_channels_included(self, world: World) -> None:
        begun(world, 1)

        shown = call(world, "get_number", number_or_num_id="num_1")
        (configured,) = world.happened(RouteConfigured)
        assert (shown["max_channels"], shown["sms"]) == (2, True)
        assert shown["position"] == configured.position

    @pytest.mark.parametrize("written", ["num_1", "+12125550001", "+1 (212) 555-00-01"])
    def test_a_number_is_found_by_its_id_or_as_it_is_printed(
        self, world: World, written: str
    ) -> None:
        begun(world, 1)

        assert call(world, "get_number", number_or_num_id=written)["num_id"] == "num_1"

    @pytest.mark.parametrize("written", ["num_9", "+12125550009", "nonsense", ""])
    def test_what_is_not_there_is_unknown(self, world: World, written: str) -> None:
        begun(world, 1)

        with pytest.raises(NotFound, match="number_unknown"):
            call(world, "get_number", number_or_num_id=written)

    def test_another_accounts_number_is_unknown(self, world: World) -> None:
        begun(world, 1, "acct_2")

        for written in ("num_1", "+12125550001"):
            with pytest.raises(NotFound, match="number_unknown"):
                call(world, "get_number", number_or_num_id=written)

    def test_staff_finds_every_number(self, world: World) -> None:
        begun(world, 1, "acct_2")

        shown = call(world, "get_number", roles=(STAFF,), number_or_num_id="+12125550001")
        assert shown["account_id"] == "acct_2"

    def test_a_number_means_the_accounts_own_time_with_it(self, world: World) -> None:
        begun(world, 1, num_id="num_a")
        begun(world, 1, "acct_2", num_id="num_b")
        begun(world, 1, num_id="num_c")

        mine = call(world, "get_number", number_or_num_id="+12125550001")
        theirs = call(world, "get_number", account_id="acct_2", number_or_num_id="+12125550001")
        assert (mine["num_id"], theirs["num_id"]) == ("num_c", "num_b")


class TestDescribing:
    def test_a_description_is_answered_and_shown(self, world: World) -> None:
        begun(world, 1)

        answer = call(world, "set_description", num_id="num_1", description="Front desk")
        world.settle()
        shown = call(world, "get_number", number_or_num_id="num_1")
        (event,) = world.happened(NumberDescribed)
        assert (answer["description"], answer["position"]) == ("Front desk", event.position)
        assert shown == answer
        assert shown["description_version"] == 2

    def test_an_edit_of_an_old_version_is_refused(self, world: World) -> None:
        begun(world, 1)
        call(world, "set_description", num_id="num_1", description="One", if_version=1)

        with pytest.raises(Stale, match="edited_meanwhile"):
            call(
                world, "set_description", key="k2", num_id="num_1", description="Two", if_version=1
            )

    def test_another_accounts_number_cannot_be_described(self, world: World) -> None:
        begun(world, 1, "acct_2")

        with pytest.raises(NotFound, match="number_unknown"):
            call(world, "set_description", num_id="num_1", description="Mine")

    def test_a_viewer_describes_nothing(self, world: World) -> None:
        begun(world, 1)

        with pytest.raises(NotAllowed, match="role_required"):
            call(world, "set_description", roles=(VIEWER,), num_id="num_1", description="Mine")


class TestLists:
    def test_numbers_are_listed_newest_first_page_by_page(self, world: World) -> None:
        for n in range(1, 6):
            begun(world, n)
        begun(world, 9, "acct_2")
        first = call(world, "list_numbers", limit=3)
        second = call(world, "list_numbers", limit=3, after=first["next"])

        listed = [row["num_id"] for row in first["data"] + second["data"]]
        assert listed == ["num_5", "num_4", "num_3", "num_2", "num_1"]
        assert second["next"] is None

    def test_numbers_are_listed_by_what_they_are(self, world: World) -> None:
        begun(world, 1)
        begun(world, 2, place=LONDON, number="+442079460958", terms=f.terms(0, 1, sms=False))

        assert numbers(world, country="gb") == ["+442079460958"]
        assert numbers(world, sms=True) == ["+12125550001"]
        assert numbers(world, sms=False) == ["+442079460958"]
        assert numbers(world, type="geographic", status="active", country="US") == ["+12125550001"]
        assert numbers(world, type="mobile") == []

    @pytest.mark.parametrize(
        "q",
        [
            "+44 20 7946 0958",
            "020 7946 0958",
            "+44 (0)20 7946 0958",
            "0044 20 7946-0958",
            "(020) 7946.0958",
            "79460",
            "00442079",
            "\u00a0+44\u00a020",
        ],
    )
    def test_digits_are_found_in_any_printed_form(self, world: World, q: str) -> None:
        begun(world, 1)
        begun(world, 2, place=LONDON, number="+442079460958")

        assert numbers(world, q=q) == ["+442079460958"]

    def test_an_italian_number_keeps_its_zero(self, world: World) -> None:
        begun(world, 1, number="+390612345678")
        begun(world, 2, number="+391612345678")

        assert numbers(world, q="06 1234") == ["+390612345678"]

    @pytest.mark.parametrize("q", ["0", "00", "000"])
    def test_zeros_alone_are_digits_too(self, world: World, q: str) -> None:
        begun(world, 1)
        begun(world, 2, number="+12125551111")

        assert numbers(world, q=q) == ["+12125550001"]

    @pytest.mark.parametrize("q", ["front", "FRONT DESK", "École", "ecole", "vip", "100%", "r_2"])
    def test_text_is_found_in_description_and_labels(self, world: World, q: str) -> None:
        begun(world, 1)
        begun(world, 2)
        call(world, "set_description", num_id="num_1", description="Front desk, ÉCOLE, 100%")
        world.client.call(
            "routing",
            "set_labels",
            context(key="k1"),
            num_id="num_1",
            labels=["VIP", "r_2"],
        )
        world.settle()

        assert numbers(world, q=q) == ["+12125550001"]

    @pytest.mark.parametrize("q", ["%", "_", "nobody", "\\"])
    def test_signs_of_patterns_are_only_signs(self, world: World, q: str) -> None:
        begun(world, 1)

        assert numbers(world, q=q) == []

    def test_a_label_is_compared_whole_and_without_case(self, world: World) -> None:
        begun(world, 1)
        begun(world, 2)
        for num_id, labels in (("num_1", ["Inbound", "VIP"]), ("num_2", ["vip customers"])):
            world.client.call(
                "routing", "set_labels", context(key="k1"), num_id=num_id, labels=labels
            )
        world.settle()

        shown = call(world, "get_number", number_or_num_id="num_1")
        (first, _) = world.happened(LabelsChanged)
        assert numbers(world, label="vip") == ["+12125550001"]
        assert numbers(world, label="VIP CUSTOMERS") == ["+12125550002"]
        assert (shown["labels"], shown["labels_version"]) == (["Inbound", "VIP"], 2)
        assert shown["position"] == first.position

    def test_a_cursor_that_is_not_ours_is_refused(self, world: World) -> None:
        with pytest.raises(PbxError, match="invalid_cursor"):
            call(world, "list_numbers", after="nonsense")

    def test_a_page_of_a_big_account_is_read_from_an_index_without_sorting(
        self, world: World
    ) -> None:
        seen: list[str] = []
        with world.views.read() as connection:
            for q in (None, "5550", "front"):
                where = views.numbers_where(country="US", q=q)
                query = (
                    tenure.select()
                    .where(tenure.c.account_id == f.ACCOUNT, tenure.c.begun_at < 10, *where)
                    .order_by(tenure.c.begun_at.desc())
                )
                sql = query.compile(
                    connection.engine, compile_kwargs={"literal_binds": True}
                ).string
                # A percent sign of LIKE is doubled in SQL that is compiled with its values.
                plan = connection.execute(text(f"EXPLAIN QUERY PLAN {sql.replace('%%', '%')}"))
                seen += [row.detail for row in plan]

        assert len(seen) == 3
        assert all("USING INDEX tenure_by_account" in detail for detail in seen)


def test_a_number_is_not_called_unknown_while_the_view_is_behind_what_its_owner_has_seen(
    world: World,
) -> None:
    ahead = context(f.ACCOUNT, at_least=world.runtime.application.log.head() + 1)
    with pytest.raises(PbxError) as unsure:
        world.client.call("orders", "get_number", ahead, number_or_num_id="num_9")
    with pytest.raises(PbxError) as sure:
        call(world, "get_number", number_or_num_id="num_9")

    assert (unsure.value.code, sure.value.code) == ("busy", "number_unknown")

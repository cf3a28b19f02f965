"""Lists of numbers in every order, searched for several numbers, counted, and seen to change."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from services import orders, routing
from services.billing.messages import AccountOpened
from services.orders import number_rows, views
from services.orders.projections import tenure
from services.orders.sorting import NEWEST
from shared.errors import PbxError
from shared.money import Money
from tests.support.worlds import START, World, context
from tests.unit.orders import facts as f
from tests.unit.orders.teller import TOLD, purchased, tell

LONDON = f.Place(country="GB", region="", city="London", area_code="20", type="geographic")
AVILA = f.Place(country="ES", region="", city="Ávila", area_code="920", type="national")
SORTS = (
    "added",
    "number",
    "type",
    "city",
    "sms",
    "channels",
    "monthly_cost",
    "paid_until",
    "origin",
    "status",
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [orders.spec(), routing.spec(), TOLD])
    yield made
    made.close()


def call(world: World, method: str, account_id: str = f.ACCOUNT, **arguments: Any) -> Any:
    return world.client.call("orders", method, context(account_id), **arguments)


def folded(world: World, n: int, account_id: str = f.ACCOUNT, **changed: Any) -> None:
    """A row as the projection would fold it, in whatever status is to come."""
    status = changed.pop("status", "active")
    rest = {name: changed.pop(name) for name in ("max_channels",) if name in changed}
    row = number_rows.purchased(purchased(n, account_id, **changed), START, n)
    with world.views.write() as connection:
        connection.execute(insert(tenure).values(row | {"status": status} | rest))


def mixed(world: World) -> None:
    """Ten numbers that differ, and are equal, in everything one can sort by."""
    folded(world, 1)
    folded(world, 2, place=LONDON, number="+442079460958", status="cancelling")
    folded(world, 3, place=AVILA, number="+34920123456", terms=f.terms(0, 0, sms=False))
    folded(world, 4, max_channels=5)
    folded(world, 5, origin="free", terms=f.terms(0, 0))
    folded(world, 6, status="suspended")
    folded(world, 7, terms=f.terms(0, 3_500_000))
    folded(world, 8, max_channels=2)
    folded(world, 9, place=LONDON, number="+442079460959", terms=f.terms(0, 1, sms=False))
    folded(world, 10, status="released")
    folded(world, 99, "acct_2")


def pages(world: World, step: str, cursor: str | None = None, **wanted: Any) -> list[list[str]]:
    """All pages one way, each with its ids."""
    found = []
    while True:
        page = call(world, "list_numbers", limit=3, **wanted, **({step: cursor} if cursor else {}))
        found.append([row["num_id"] for row in page["data"]])
        cursor = page["next" if step == "after" else "previous"]
        if cursor is None:
            return found


class TestSorting:
    @pytest.mark.parametrize("direction", ["", "-"])
    @pytest.mark.parametrize("name", SORTS)
    def test_pages_of_every_order_hold_each_number_once(
        self, world: World, name: str, direction: str
    ) -> None:
        mixed(world)
        sort = direction + name
        whole = [r["num_id"] for r in call(world, "list_numbers", sort=sort, limit=100)["data"]]

        assert list(chain(*pages(world, "after", sort=sort))) == whole
        assert sorted(whole) == sorted(f"num_{n}" for n in range(1, 11))

    @pytest.mark.parametrize("name", SORTS)
    def test_one_can_go_back_page_by_page(self, world: World, name: str) -> None:
        mixed(world)
        there = pages(world, "after", sort=name)
        last = call(world, "list_numbers", sort=name, limit=1)
        while last["next"]:
            last = call(world, "list_numbers", sort=name, limit=1, after=last["next"])
        back = pages(world, "before", last["previous"], sort=name)

        assert list(chain(*reversed(back))) == list(chain(*there))[:-1]

    @pytest.mark.parametrize("name", SORTS)
    def test_the_other_way_round_is_the_exact_reverse(self, world: World, name: str) -> None:
        mixed(world)
        up, down = (list(chain(*pages(world, "after", sort=s))) for s in (name, f"-{name}"))

        assert up == down[::-1]

    def test_numbers_are_sorted_by_what_the_column_shows(self, world: World) -> None:
        mixed(world)

        def first(sort: str) -> dict[str, Any]:
            found: dict[str, Any] = call(world, "list_numbers", sort=sort, limit=1)["data"][0]
            return found

        assert first("city")["city"] == "Ávila"  # Accents do not send a city to the end.
        assert first("-monthly_cost")["monthly_cost"]["amount"] == "3.50"
        assert first("-channels")["max_channels"] == 5
        assert first("paid_until")["paid_until"] is None
        assert first("number")["number"].startswith("+1")
        assert first("-status")["status"] == "suspended"
        assert first("-added")["num_id"] == "num_10"

    def test_what_is_bought_meanwhile_shifts_no_page(self, world: World) -> None:
        mixed(world)
        first = call(world, "list_numbers", sort="city", limit=4)
        folded(world, 11, place=AVILA)
        second = call(world, "list_numbers", sort="city", limit=4, after=first["next"])

        assert not {r["num_id"] for r in first["data"]} & {r["num_id"] for r in second["data"]}

    @pytest.mark.parametrize(
        "key",
        [
            "nonsense",
            ["city", "x"],
            ["city", "x", "y"],
            ["city", "x", -1],
            ["city", "x", 2**63],
            ["city", "x", True],
            ["city", "\ud800", 1],
            ["type", "geographic", 1],
            {"city": 1},
        ],
    )
    def test_a_cursor_of_another_order_or_making_is_refused(self, world: World, key: Any) -> None:
        cursor = base64.urlsafe_b64encode(json.dumps(key).encode()).decode()

        for step in ("after", "before"):
            with pytest.raises(PbxError, match="invalid_cursor"):
                call(world, "list_numbers", sort="city", **{step: cursor})

    def test_an_order_that_does_not_exist_is_refused(self, world: World) -> None:
        with pytest.raises(PbxError, match="invalid_value"):
            call(world, "list_numbers", sort="number; drop table tenure")


class TestSeveralNumbers:
    @pytest.mark.parametrize(
        "q",
        [
            "+1 (212) 555-00-01\n+44 20 7946 0958",
            "12125550001,020 7946 0958",
            "212-555-0001; 0044 20 7946 0958;",
            "+12125550001+442079460958",  # A field of one line swallows the line break.
            "\r\n+12125550001\r\n\r\n442079460958\r\n",
            "2125550001, 7946 0958",
            "+12125550001, 0958, +9999999999",
        ],
    )
    def test_pasted_numbers_are_found_each(self, world: World, q: str) -> None:
        mixed(world)

        found = call(world, "list_numbers", q=q, sort="number")["data"]
        assert [row["number"] for row in found] == ["+12125550001", "+442079460958"]

    def test_a_whole_number_of_a_list_is_not_found_inside_another(self, world: World) -> None:
        folded(world, 1)

        assert call(world, "list_numbers", q="125550001, 121255500")["data"] == []

    def test_among_many_numbers_each_is_a_whole_one(self, world: World) -> None:
        folded(world, 1)
        few, many = ", ".join(["50001"] * 20), ", ".join(["50001"] * 21)

        assert len(call(world, "list_numbers", q=few)["data"]) == 1
        assert call(world, "list_numbers", q=many)["data"] == []

    def test_text_with_a_comma_is_text(self, world: World) -> None:
        mixed(world)

        assert call(world, "list_numbers", q="front desk, 12125550001")["data"] == []

    def test_two_hundred_numbers_can_be_pasted_and_more_are_refused(self, world: World) -> None:
        folded(world, 1)
        pasted = [f"+1212555{n:04d}" for n in range(1, 201)]

        assert len(call(world, "list_numbers", q="\n".join(pasted))["data"]) == 1
        with pytest.raises(PbxError, match="at most 200"):
            call(world, "list_numbers", q="\n".join([*pasted, "+12125559999"]))


class TestCounting:
    def test_numbers_are_counted_by_status_for_the_account_alone(self, world: World) -> None:
        mixed(world)

        counted = call(world, "count_numbers")
        assert counted["numbers"] == {
            "active": 7,
            "cancelling": 1,
            "released": 1,
            "suspended": 1,
        }
        assert counted["countries"] == ["ES", "GB", "US"]

    def test_what_is_counted_can_be_filtered_and_countries_stay(self, world: World) -> None:
        mixed(world)

        counted = call(world, "count_numbers", country="gb", sms=True)
        assert counted["numbers"] == {"cancelling": 1}
        assert counted["countries"] == ["ES", "GB", "US"]

    def test_orders_on_their_way_are_counted_and_listed(self, world: World) -> None:
        tell(world, f.PLACED)
        tell(world, f.order_placed(order_id="ord_2"), f.OrderReserved(**reserved("ord_2")))
        tell(world, f.order_placed(order_id="ord_3", account_id="acct_2"))

        found = call(world, "list_orders", statuses=["charging", "action_required"])
        assert call(world, "count_numbers")["orders"] == {"placed": 1, "charging": 1}
        assert [order["id"] for order in found["data"]] == ["ord_2"]

    def test_counting_a_big_account_reads_an_index_alone(self, world: World) -> None:
        with world.views.read() as connection:
            sql = views._groups(f.ACCOUNT, []).compile(
                connection.engine, compile_kwargs={"literal_binds": True}
            )
            plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]

        assert any("COVERING INDEX tenure_by_status" in step for step in plan), plan


def reserved(order_id: str) -> dict[str, Any]:
    fields = {name: getattr(f.RESERVED, name) for name in f.RESERVED.__dataclass_fields__}
    return fields | {"order_id": order_id, "amount": Money(1_000_000, "USD")}


class TestChanges:
    def test_numbers_orders_and_labels_change_what_a_page_asks_for(self, world: World) -> None:
        seen = [call(world, "last_change")]
        steps = (
            f.PLACED,
            purchased(1),
            f.RESERVED,
            routing_labels(),
        )
        for event in steps:
            tell(world, event)
            seen.append(call(world, "last_change"))
            assert call(world, "count_numbers")["change"] == seen[-1]

        assert len(set(seen)) == len(steps) + 1

    def test_another_account_s_changes_are_none_of_mine(self, world: World) -> None:
        tell(world, purchased(1))
        before = call(world, "last_change")
        tell(world, purchased(2, "acct_2"), f.order_placed(account_id="acct_2"))

        assert call(world, "last_change") == before
        assert call(world, "last_change", "acct_3") == "0.0"


def routing_labels() -> Any:
    from services.routing.messages import LabelsChanged

    return LabelsChanged(
        num_id="num_1", number="+12125550001", account_id=f.ACCOUNT, labels=("VIP",)
    )


class TestPaidUntil:
    def test_days_are_those_of_the_account_s_time_zone(self, world: World) -> None:
        opened = AccountOpened(
            account_id=f.ACCOUNT,
            name="Company",
            email="a@example.com",
            country="NZ",
            time_zone="Pacific/Auckland",
            currency="NZD",
        )
        tell(world, opened)  # 12:00 UTC on 31 January is 1 February there.
        tell(world, purchased(1), purchased(2, terms=f.terms(0, 0)), stream="more")

        row = call(world, "get_number", number_or_num_id="num_1")
        free = call(world, "get_number", number_or_num_id="num_2")
        assert (row["start_date"], row["paid_until"]) == ("2026-02-01", "2026-02-28")
        assert row["min_period_ends"] == "2026-02-28"
        assert free["paid_until"] is None


def test_the_default_order_is_the_newest_first() -> None:
    assert NEWEST == "-added"

"""Orders through a whole process: commands by RPC, others' events told, views asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services import orders, routing
from services.billing import messages as billing
from services.inventory.messages import HeldLine, HoldAsked, HoldAwaitsStock, Item, Missing
from services.orders.messages import (
    BeginTenure,
    NumberPurchased,
    OrderConfirmationReported,
    OrderFailed,
    OrderFulfilled,
    OrderNeedsOperator,
    OrderPaid,
    OrderPlaced,
    RefundRequested,
)
from shared.consumers.parking import blocked_streams
from shared.errors import BadRequest, NotAllowed, NotFound, PbxError
from shared.rpc import STAFF, VIEWER
from tests.support.worlds import World, context
from tests.unit.orders import facts as f
from tests.unit.orders.teller import TOLD, tell


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, [orders.spec(), routing.spec(), TOLD])
    yield made
    made.close()


def call(world: World, method: str, *, key: str = "k1", roles: Any = None, **arguments: Any) -> Any:
    """Calls orders as the owner of acct_1, unless said otherwise."""
    account_id = arguments.pop("account_id", f.ACCOUNT)
    more = {} if roles is None else {"roles": roles}
    ctx = context(account_id, key=key, **more)
    return world.client.call("orders", method, ctx, **arguments)


def order_of(world: World, order_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = call(world, "get_order", order_id=order_id)
    return answer


def placed(world: World, **arguments: Any) -> str:
    """Places an order on a quote; its id."""
    answer = call(world, "place_order", **({"quote_id": f.QUOTE} | arguments))
    world.settle()
    return str(answer["id"])


def about(message: Any, order_id: str, **changed: Any) -> Any:
    """A fact of ``facts.py`` about this order."""
    return replace(message, order_id=order_id, **changed)


def paid(world: World, **arguments: Any) -> str:
    """An order that was pinned and charged; its id."""
    order_id = placed(world, **arguments)
    tell(world, about(f.PINNED, order_id))
    tell(world, about(f.CHARGE_REQUESTED, order_id))
    tell(world, about(f.CHARGE_SUCCEEDED, order_id))
    return order_id


def fulfilled(world: World, **arguments: Any) -> str:
    """An order that got all its numbers; its id."""
    order_id = paid(world, **arguments)
    tell(world, about(f.ALLOCATED, order_id))
    return order_id


def returned(world: World, order_id: str, refund_id: str, amount: Any) -> None:
    """Billing says that a refund was carried out."""
    refund = billing.ChargeRefunded(
        charge_id=f.CHARGE,
        account_id=f.ACCOUNT,
        order_id=order_id,
        refund_id=refund_id,
        amount=amount,
        provider_refund="re_1",
    )
    tell(world, refund)


class TestThePurchase:
    def test_an_order_is_answered_as_placed(self, world: World) -> None:
        answer = call(world, "place_order", quote_id=f.QUOTE, payment_method_id=f.CARD)

        assert answer["status"] == "placed"
        assert (answer["quote_id"], answer["payment_method_id"]) == (f.QUOTE, f.CARD)
        assert (answer["total"], answer["charge_id"], answer["failure"]) == (None, None, None)
        assert answer["created_at"] == "2026-01-31T12:00:00Z"
        assert answer["position"] == world.log.head()

    def test_the_answer_is_the_row_that_the_view_shows(self, world: World) -> None:
        answer = call(world, "place_order", quote_id=f.QUOTE)
        world.settle()

        assert order_of(world, answer["id"]) == answer

    def test_the_same_key_is_the_same_order(self, world: World) -> None:
        first = call(world, "place_order", quote_id=f.QUOTE)
        again = call(world, "place_order", quote_id=f.QUOTE)
        other = call(world, "place_order", key="k2", quote_id=f.QUOTE)

        assert again == first
        assert other["id"] != first["id"]
        assert len(world.messages(OrderPlaced)) == 2

    def test_an_order_goes_from_placed_to_fulfilled(self, world: World) -> None:
        order_id = placed(world)
        tell(world, about(f.PINNED, order_id))
        charging = order_of(world, order_id)
        tell(world, about(f.CHARGE_REQUESTED, order_id), about(f.CHARGE_SUCCEEDED, order_id))
        tell(world, about(f.ALLOCATED, order_id))
        done = order_of(world, order_id)

        assert (charging["status"], charging["total"]) == ("charging", f.TOTAL.as_json())
        assert {n["status"] for n in charging["numbers"]} == {"held"}
        assert (done["status"], done["charge_id"]) == ("fulfilled", f.CHARGE)
        assert done["numbers"] == [
            {"number": f.NY_1, "num_id": "num_1", "offer_id": "off_ny", "status": "purchased"},
            {"number": f.NY_2, "num_id": "num_2", "offer_id": "off_ny", "status": "purchased"},
            {"number": f.TO_1, "num_id": "num_3", "offer_id": "off_to", "status": "purchased"},
        ]
        assert done["lines"][0]["unit_cost"] == f.NY_COST.as_json()
        assert done["lines"][0]["prefix"] == "+1212"

    def test_tenures_begin_with_the_terms_of_their_lines_before_the_order_ends(
        self, world: World
    ) -> None:
        order_id = fulfilled(world)

        tenures = world.messages(NumberPurchased)
        assert [(t.number, t.terms) for t in tenures] == [
            (f.NY_1, f.NY_LINE.terms),
            (f.NY_2, f.NY_LINE.terms),
            (f.TO_1, f.TO_LINE.terms),
        ]
        assert {(t.account_id, t.order_id, t.origin) for t in tenures} == {
            (f.ACCOUNT, order_id, "purchased")
        }
        (end,) = world.happened(OrderFulfilled)
        assert all(t.position < end.position for t in world.happened(NumberPurchased))

    def test_completing_twice_changes_nothing(self, world: World) -> None:
        order_id = fulfilled(world)
        tell(world, about(f.ALLOCATED, order_id))

        assert len(world.messages(NumberPurchased)) == 3
        assert len(world.messages(OrderFulfilled)) == 1

    def test_completing_goes_on_where_it_was_cut_off(self, world: World) -> None:
        order_id = paid(world)
        world.execute(_tenure_of(order_id))
        tell(world, about(f.ALLOCATED, order_id))

        assert [t.num_id for t in world.messages(NumberPurchased)] == ["num_1", "num_2", "num_3"]
        assert order_of(world, order_id)["status"] == "fulfilled"

    def test_numbers_of_an_order_that_is_not_paid_are_parked_for_an_operator(
        self, world: World
    ) -> None:
        order_id = placed(world)
        tell(world, about(f.PINNED, order_id), about(f.ALLOCATED, order_id))

        with world.state.read() as connection:
            parked = blocked_streams(connection, "policy:orders")
        assert parked == {"told-others"}
        assert world.messages(NumberPurchased) == []
        assert order_of(world, order_id)["status"] == "charging"

    def test_an_order_on_items_shows_that_it_is_being_reserved(self, world: World) -> None:
        items = [{"offer_id": "off_ny", "quantity": 2}, {"number": "+1 (416) 555-0103"}]
        order_id = placed(world, quote_id=None, items=items)
        tell(world, _hold_asked(order_id))

        (event,) = world.messages(OrderPlaced)
        assert event.items == (Item(offer_id="off_ny", quantity=2), Item(number=f.TO_1))
        assert order_of(world, order_id)["status"] == "reserving"
        assert order_of(world, order_id)["quote_id"] is None

    def test_what_could_not_be_had_is_shown(self, world: World) -> None:
        order_id = placed(world, strategy="best_effort")
        missing = (
            Missing(item=Item(number=f.TO_1), quantity=1, code="number_gone"),
            Missing(item=Item(offer_id="off_x", quantity=4), quantity=3, code="number_gone"),
        )
        tell(world, about(f.PINNED, order_id, lines=(f.NY_LINE,), missing=missing))

        shown = order_of(world, order_id)
        assert shown["missing"] == [
            {"number": f.TO_1, "quantity": 1, "code": "number_gone"},
            {"offer_id": "off_x", "quantity": 3, "code": "number_gone"},
        ]
        assert shown["numbers"][-1] == {
            "number": f.TO_1,
            "num_id": None,
            "offer_id": None,
            "status": "refused",
            "code": "number_gone",
        }

    def test_a_declined_card_fails_the_order(self, world: World) -> None:
        order_id = placed(world)
        tell(world, about(f.PINNED, order_id))
        tell(world, about(f.CHARGE_FAILED, order_id))

        shown = order_of(world, order_id)
        assert shown["status"] == "failed"
        assert shown["failure"] == {"code": "card_declined", "detail": "The card was declined."}
        assert {(n["status"], n["code"]) for n in shown["numbers"]} == {
            ("refused", "card_declined")
        }

    def test_money_that_comes_after_the_failure_goes_back(self, world: World) -> None:
        order_id = placed(world)
        tell(world, about(f.PINNED, order_id))
        tell(world, about(f.CHARGE_FAILED, order_id), about(f.CHARGE_SUCCEEDED, order_id))
        tell(world, about(f.CHARGE_SUCCEEDED, order_id))
        (refund,) = world.messages(RefundRequested)
        returned(world, order_id, refund.refund_id, refund.amount)

        shown = order_of(world, order_id)
        assert refund.amount == f.TOTAL
        assert world.messages(OrderPaid) == []
        assert (shown["status"], shown["refunded_total"]) == ("failed", f.TOTAL.as_json())

    def test_an_account_gets_its_free_number_by_an_order_without_a_charge(
        self, world: World
    ) -> None:
        tell(world, _account_opened())
        (event,) = world.messages(OrderPlaced)
        waits = HoldAwaitsStock(hold_id=event.order_id, account_id=f.ACCOUNT, country="US")
        tell(world, _hold_asked(event.order_id), waits)
        waiting = order_of(world, event.order_id)
        world.machine.forward(days=30)
        world.settle()
        tell(world, about(f.PINNED, event.order_id, lines=(f.FREE_LINE,)))
        tell(world, about(f.ALLOCATED, event.order_id, numbers=f.NUMBERS[:1]))

        done = order_of(world, event.order_id)
        assert (waiting["status"], waiting["kind"]) == ("placed", "free")
        assert (done["status"], done["charge_id"]) == ("fulfilled", None)
        assert done["total"] == {"amount": "0.00", "currency": "USD"}
        assert world.messages(NumberPurchased)[0].origin == "free"
        assert world.messages(OrderNeedsOperator) == []

    def test_an_account_gets_one_free_number_for_ever(self, world: World) -> None:
        tell(world, _account_opened(), _account_opened())
        tell(world, _account_opened())

        assert len(world.messages(OrderPlaced)) == 1


def _tenure_of(order_id: str) -> Any:
    return BeginTenure(
        num_id="num_1",
        number=f.NY_1,
        account_id=f.ACCOUNT,
        order_id=order_id,
        offer_id=f.NY_LINE.offer_id,
        place=f.NY_LINE.place,
        terms=f.NY_LINE.terms,
        origin="purchased",
    )


def _hold_asked(order_id: str) -> HoldAsked:
    return HoldAsked(
        hold_id=order_id,
        account_id=f.ACCOUNT,
        items=(),
        tried=(),
        until=f.SOON,
        order_id=order_id,
    )


def _account_opened() -> billing.AccountOpened:
    return billing.AccountOpened(
        account_id=f.ACCOUNT,
        name="Ada",
        email="ada@example.com",
        country="US",
        time_zone="America/New_York",
        currency="USD",
    )


class TestWaiting:
    def test_a_placed_order_without_an_answer_needs_an_operator_after_15_minutes(
        self, world: World
    ) -> None:
        order_id = placed(world)
        world.machine.forward(minutes=14)
        world.settle()
        before = order_of(world, order_id)["status"]
        world.machine.forward(minutes=1)
        world.settle()

        assert before == "placed"
        assert order_of(world, order_id)["status"] == "needs_operator"

    def test_each_step_has_15_minutes_of_its_own(self, world: World) -> None:
        order_id = placed(world)
        world.machine.forward(minutes=14)
        tell(world, about(f.PINNED, order_id))
        world.machine.forward(minutes=14)
        world.settle()

        assert world.messages(OrderNeedsOperator) == []

    def test_an_answer_that_comes_later_still_settles_the_order(self, world: World) -> None:
        order_id = placed(world)
        tell(world, about(f.PINNED, order_id))
        world.machine.forward(minutes=15)
        world.settle()
        called = order_of(world, order_id)["status"]
        tell(world, about(f.CHARGE_SUCCEEDED, order_id))
        tell(world, about(f.ALLOCATED, order_id))

        assert called == "needs_operator"
        assert order_of(world, order_id)["status"] == "fulfilled"

    def test_an_unknown_charge_is_looked_into_for_a_day(self, world: World) -> None:
        order_id = placed(world)
        tell(world, about(f.PINNED, order_id))
        unknown = billing.ChargeUnknown(charge_id=f.CHARGE, account_id=f.ACCOUNT, order_id=order_id)
        tell(world, unknown)
        world.machine.forward(hours=23)
        world.settle()
        before = order_of(world, order_id)["status"]
        world.machine.forward(hours=1)
        world.settle()

        assert (before, order_of(world, order_id)["status"]) == ("charging", "needs_operator")

    def test_a_bank_step_nobody_takes_fails_the_order_after_15_minutes(self, world: World) -> None:
        order_id = self.asked(world)
        world.machine.forward(minutes=15)
        world.settle()

        shown = order_of(world, order_id)
        assert (shown["status"], shown["failure"]["code"]) == ("failed", "authentication_required")
        assert shown["action_expires_at"] is None

    def test_a_bank_step_that_was_taken_goes_on(self, world: World) -> None:
        order_id = self.asked(world)
        waiting = order_of(world, order_id)
        answer = call(world, "confirm_payment", order_id=order_id)
        tell(world, about(f.CHARGE_SUCCEEDED, order_id))
        world.machine.forward(minutes=14)
        world.settle()

        assert waiting["action_expires_at"] == "2026-01-31T12:15:00Z"
        assert (answer["status"], answer["position"]) == (
            "action_required",
            world.happened(OrderConfirmationReported)[0].position,
        )
        assert len(world.messages(OrderPaid)) == 1
        assert world.messages(OrderFailed) == []

    def test_nothing_is_confirmed_where_nothing_is_asked(self, world: World) -> None:
        order_id = placed(world)

        with pytest.raises(PbxError, match="nothing_to_confirm"):
            call(world, "confirm_payment", order_id=order_id)

    def asked(self, world: World) -> str:
        order_id = placed(world)
        tell(world, about(f.PINNED, order_id))
        step = billing.ChargeActionRequired(
            charge_id=f.CHARGE,
            account_id=f.ACCOUNT,
            order_id=order_id,
            provider_id="pi_1",
            client_secret="secret",
        )
        tell(world, step)
        return order_id


class TestRefunds:
    def test_staff_returns_all_that_is_left(self, world: World) -> None:
        order_id = fulfilled(world)
        answer = self.refund(world, order_id=order_id, reason="goodwill")
        (refund,) = world.messages(RefundRequested)
        returned(world, order_id, refund.refund_id, refund.amount)

        shown = order_of(world, order_id)
        assert answer["refunds"][0]["status"] == "requested"
        assert answer["status"] == "fulfilled"
        assert (shown["status"], shown["refunded_total"]) == ("refunded", f.TOTAL.as_json())
        assert shown["refunds"] == [
            {
                "id": refund.refund_id,
                "status": "returned",
                "amount": f.TOTAL.as_json(),
                "numbers": [],
                "reason": "goodwill",
            }
        ]

    def test_a_part_that_was_returned_leaves_the_order_fulfilled(self, world: World) -> None:
        order_id = fulfilled(world)
        half = {"amount": "0.50", "currency": "USD"}
        self.refund(world, order_id=order_id, amount=half)
        (refund,) = world.messages(RefundRequested)
        returned(world, order_id, refund.refund_id, refund.amount)

        shown = order_of(world, order_id)
        assert (shown["status"], shown["refunded_total"]) == ("fulfilled", half)

    def test_numbers_that_were_returned_show_it(self, world: World) -> None:
        order_id = fulfilled(world)
        self.refund(world, order_id=order_id, numbers=[f.NY_2])
        before = [n["status"] for n in order_of(world, order_id)["numbers"]]
        (refund,) = world.messages(RefundRequested)
        returned(world, order_id, refund.refund_id, refund.amount)

        shown = [n["status"] for n in order_of(world, order_id)["numbers"]]
        assert before == ["purchased", "purchased", "purchased"]
        assert shown == ["purchased", "refunded", "purchased"]

    def test_numbers_that_were_refused_at_last_are_returned(self, world: World) -> None:
        order_id = paid(world)
        tell(world, about(f.ALLOCATED, order_id, numbers=f.NUMBERS[:2], refused=(f.TO_1,)))
        before = order_of(world, order_id)
        (refund,) = world.messages(RefundRequested)
        returned(world, order_id, refund.refund_id, refund.amount)

        shown = order_of(world, order_id)
        assert before["numbers"][2]["status"] == "refused"
        assert (shown["status"], shown["numbers"][2]["status"]) == ("fulfilled", "refunded")
        assert shown["refunded_total"] == {"amount": "0.99", "currency": "USD"}

    def test_a_refund_that_failed_can_be_asked_for_again(self, world: World) -> None:
        order_id = fulfilled(world)
        self.refund(world, order_id=order_id)
        (refund,) = world.messages(RefundRequested)
        refused = billing.ChargeRefundFailed(
            charge_id=f.CHARGE,
            account_id=f.ACCOUNT,
            order_id=order_id,
            refund_id=refund.refund_id,
            code="payment_failed",
            detail="No.",
        )
        tell(world, refused)
        self.refund(world, key="k_again", order_id=order_id)
        world.settle()

        assert [r["status"] for r in order_of(world, order_id)["refunds"]] == [
            "failed",
            "requested",
        ]

    def test_the_same_key_asks_once(self, world: World) -> None:
        order_id = fulfilled(world)
        first = self.refund(world, order_id=order_id)
        again = self.refund(world, order_id=order_id)

        assert again == first
        assert len(world.messages(RefundRequested)) == 1

    def test_customers_return_nothing_themselves(self, world: World) -> None:
        with pytest.raises(NotAllowed, match="staff_only"):
            call(world, "refund_order", order_id=fulfilled(world))

    def refund(self, world: World, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = call(
            world, "refund_order", **({"key": "k_ref", "roles": (STAFF,)} | arguments)
        )
        return answer


class TestWhoMayWhat:
    def test_another_accounts_order_is_unknown(self, world: World) -> None:
        order_id = placed(world)

        for method in ("get_order", "confirm_payment"):
            with pytest.raises(NotFound, match="order_unknown"):
                call(world, method, account_id="acct_2", order_id=order_id)
        assert call(world, "list_orders", account_id="acct_2")["data"] == []

    def test_staff_sees_every_order(self, world: World) -> None:
        order_id = placed(world)

        shown = call(world, "get_order", account_id="", roles=(STAFF,), order_id=order_id)
        listed = call(world, "list_orders", account_id="", roles=(STAFF,))
        assert (shown["id"], [o["id"] for o in listed["data"]]) == (order_id, [order_id])

    def test_a_viewer_looks_and_buys_nothing(self, world: World) -> None:
        order_id = placed(world)

        with pytest.raises(NotAllowed, match="role_required"):
            call(world, "place_order", roles=(VIEWER,), quote_id=f.QUOTE)
        assert call(world, "get_order", roles=(VIEWER,), order_id=order_id)["id"] == order_id

    def test_an_order_needs_a_key(self, world: World) -> None:
        with pytest.raises(BadRequest, match="idempotency_key_missing"):
            call(world, "place_order", key="", quote_id=f.QUOTE)

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            ({}, "items_invalid"),
            ({"items": []}, "items_invalid"),
            ({"quote_id": "qt_1", "items": [{"offer_id": "off"}]}, "items_invalid"),
            ({"items": ["off"]}, "invalid_value"),
            ({"items": [{"offer_id": "off", "quantity": 11}]}, "quantity_invalid"),
            ({"items": [{"offer_id": "off", "quantity": "2"}]}, "quantity_invalid"),
            ({"items": [{"offer_id": "off", "quantity": True}]}, "quantity_invalid"),
            ({"items": [{"number": "hello"}]}, "number_invalid"),
            ({"items": [{"free_in": "US"}]}, "unknown_field"),
            ({"quote_id": "qt_1", "strategy": "greedy"}, "invalid_value"),
        ],
    )
    def test_a_wish_that_cannot_be_understood_is_refused(
        self, world: World, wish: dict[str, Any], code: str
    ) -> None:
        with pytest.raises(PbxError) as caught:
            call(world, "place_order", **wish)

        assert caught.value.code == code
        assert world.messages(OrderPlaced) == []

    def test_the_end_users_name_is_sealed_and_not_shown(self, world: World) -> None:
        answer = call(
            world, "place_order", quote_id=f.QUOTE, end_user={"first_name": "Canary-Jane"}
        )
        world.settle()

        (event,) = world.messages(OrderPlaced)
        assert "Canary-Jane" in event.end_user
        assert "Canary-Jane" not in str(answer)
        files = [p.read_bytes() for p in world.folder.rglob("*") if p.is_file()]
        assert files
        assert not any(b"Canary-Jane" in content for content in files)


class TestLists:
    def test_orders_are_listed_newest_first_page_by_page(self, world: World) -> None:
        made = [placed(world, key=f"k{n}") for n in range(5)]
        seen: list[str] = []
        after = None
        pages = 0
        while pages == 0 or after is not None:
            page = call(world, "list_orders", limit=2, after=after)
            seen += [order["id"] for order in page["data"]]
            after, pages = page["next"], pages + 1

        assert (seen, pages) == (made[::-1], 3)

    def test_a_page_that_is_full_and_the_last_says_so(self, world: World) -> None:
        placed(world)

        assert call(world, "list_orders", limit=1)["next"] is None

    def test_orders_are_listed_by_status(self, world: World) -> None:
        failed = placed(world, key="k1")
        placed(world, key="k2")
        tell(world, about(f.PINNED, failed), about(f.CHARGE_FAILED, failed))
        tell(world, about(f.CHARGE_FAILED, failed))

        listed = call(world, "list_orders", status="failed")["data"]
        assert [order["id"] for order in listed] == [failed]

    @pytest.mark.parametrize("after", ["", "x", "é", "LTE", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMg"])
    def test_a_cursor_that_is_not_ours_is_refused(self, world: World, after: str) -> None:
        with pytest.raises(PbxError, match="invalid_cursor"):
            call(world, "list_orders", after=after)

    @pytest.mark.parametrize("limit", [0, 101])
    def test_a_page_has_1_to_100_rows(self, world: World, limit: int) -> None:
        with pytest.raises(PbxError, match="invalid_value"):
            call(world, "list_orders", limit=limit)


def test_a_rebuilt_view_is_the_same(world: World) -> None:
    fulfilled(world, key="k1")
    tell(world, _account_opened())
    before = call(world, "list_orders"), call(world, "list_numbers")
    for projection in world.assembly.projections():
        projection.rebuild()
    emptied = call(world, "list_orders")["data"]
    world.settle()

    assert emptied == []
    assert (call(world, "list_orders"), call(world, "list_numbers")) == before
    assert len(before[0]["data"]) == 2


def test_a_line_in_another_currency_is_shown_in_its_own(world: World) -> None:
    order_id = placed(world)
    euro = HeldLine(
        offer_id="off_nl", place=f.NYC, terms=f.terms(0, 2_500_000, "EUR"), numbers=(f.NY_1,)
    )
    tell(world, about(f.PINNED, order_id, lines=(euro,)))

    assert order_of(world, order_id)["total"] == {"amount": "2.50", "currency": "EUR"}

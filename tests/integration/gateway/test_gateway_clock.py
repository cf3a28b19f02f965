"""The test clock: what is due happens in order, each thing at its own time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.billing.messages import ChargeFailed
from services.inventory.messages import HoldReleased
from services.orders.messages import OrderActionRequired, OrderFailed
from shared.errors import Conflict
from shared.platform import ClockAdvanced
from tests.integration.gateway.sites import Site, code, make_site, problem
from tests.integration.gateway.test_gateway_buying import buy
from tests.support.worlds import World, context


def now_of(site: Site) -> datetime:
    return datetime.fromisoformat(site.staff().get("/v1/test-clock").json["now"])


def advance(site: Site, to: datetime, **headers: str):
    return site.staff().post("/v1/test-clock/advance", {"to": to.isoformat()}, **headers)


def asked(world: World, to: datetime, key: str = "forward"):
    """Asks for an advance without waiting for it."""
    staff = context("", key=key, roles=("staff",), actor="user_s")
    return world.client.call("clock", "advance_clock", staff, to=to.isoformat())


def hold(shop: Site, caller) -> datetime:
    """A quote; says when it ends."""
    body = {"items": [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]}
    quote = caller.post("/v1/quotes", body)
    assert quote.status_code == 201, quote.text
    shop.settle()
    return datetime.fromisoformat(quote.json["expires_at"])


def test_a_hold_and_the_bank_s_step_end_in_order_each_at_its_own_time(shop: Site) -> None:
    buy(shop, shop.customer("pm_card_authenticationRequired"))
    (waits,) = shop.world.messages(OrderActionRequired)
    shop.world.machine.forward(minutes=2)
    ends = hold(shop, shop.customer())
    to = shop.world.runtime.clock.now() + timedelta(minutes=30)

    job = asked(shop.world, to)
    shop.settle()

    released = [e for e in shop.world.happened(HoldReleased) if e.message.reason == "expired"]
    (failed,) = shop.world.happened(OrderFailed)
    assert job["status"] == "queued"
    assert [e.at for e in released] == [ends]
    assert failed.at == waits.expires_at
    # The bank's step began earlier and lasts longer: 13 minutes are left of it, 10 of the hold.
    assert released[0].position < failed.position
    # What follows from it is done before the clock goes on.
    (charge,) = shop.world.happened(ChargeFailed)
    assert charge.at == failed.at
    assert shop.world.runtime.clock.now() == to
    moved = [e.at for e in shop.world.happened(ClockAdvanced)]
    assert moved == [ends, waits.expires_at, to]


def test_the_job_says_what_became_due(shop: Site) -> None:
    ends = hold(shop, shop.customer())
    job = asked(shop.world, ends + timedelta(days=400))
    shop.settle()

    found = shop.staff().get(f"/v1/jobs/{job['id']}").json

    assert (found["status"], found["total"], found["succeeded"], found["failed"]) == (
        "done",
        100,
        100,
        0,
    )
    assert [row["code"] for row in found["rows"]] == ["hold_expiry"]
    assert shop.staff().get("/v1/test-clock").json["next"] == []


def test_the_clock_goes_forward_only(shop: Site) -> None:
    before = shop.world.log.head()
    answer = advance(shop, now_of(shop) - timedelta(seconds=1))

    assert answer.status_code == 422
    assert code(answer) == "clock_backwards"
    assert problem(advance(shop, now_of(shop) + timedelta(days=36_600)))["param"] == "to"
    for wrong in ("tomorrow", "2026-05-05T12:00:00", 5, None):
        body = {"to": wrong}
        assert shop.staff().post("/v1/test-clock/advance", body).status_code == 422, wrong
    assert shop.world.log.head() == before


def test_a_second_advance_is_refused_while_one_is_under_way(shop: Site) -> None:
    to = now_of(shop) + timedelta(days=1)
    first = asked(shop.world, to)

    with pytest.raises(Conflict, match="clock_busy"):
        asked(shop.world, to + timedelta(days=1), key="another")
    assert asked(shop.world, to)["id"] == first["id"]  # Sent again, it is the same.
    shop.settle()
    assert now_of(shop) == to


def test_in_the_running_product_the_answer_comes_when_everything_is_done(shop: Site) -> None:
    customer = shop.customer("pm_card_authenticationRequired")
    order = buy(shop, customer).json["id"]
    hold(shop, customer)
    shop.start()
    to = now_of(shop) + timedelta(minutes=16)

    answer = advance(shop, to)

    assert answer.status_code == 200, answer.text
    assert datetime.fromisoformat(answer.json["now"]) >= to
    found = customer.get(f"/v1/orders/{order}").json
    assert (found["status"], found["failure"]["code"]) == ("failed", "authentication_required")
    assert shop.offer()["available"] == 49  # One is the account's free number.


def test_only_staff_of_a_sandbox_has_a_test_clock(site: Site, tmp_path: Path) -> None:
    owner = site.caller("acct_1")
    assert code(owner.get("/v1/test-clock")) == "staff_only"
    assert code(owner.post("/v1/test-clock/advance", {"to": "2030-01-01T00:00:00Z"})) == (
        "staff_only"
    )
    assert site.visitor.get("/v1/test-clock").status_code == 401


def test_a_call_that_is_under_way_holds_the_clock(shop: Site) -> None:
    """What an effect brings happens before the next thing that is due."""
    world = shop.world
    customer = shop.customer("pm_card_visa")
    ends = hold(shop, shop.customer())
    items = [{"offer_id": shop.offer()["offer_id"], "quantity": 1}]
    customer.post("/v1/orders", {"items": items})
    world.engine.settle()  # The charge is a row of work now; nobody has carried it out.
    asked(world, ends + timedelta(minutes=1))

    assert world.assembly.advancing.step() is False
    assert world.messages(ClockAdvanced) == []
    shop.settle()

    types = [e.type for e in world.happened()]
    assert types.index("ChargeSucceeded") < types.index("ClockAdvanced")
    assert types.index("OrderFulfilled") < types.index("ClockAdvanced")


def test_a_consumer_that_stands_still_ends_the_advance(shop: Site, monkeypatch) -> None:
    ends = hold(shop, shop.customer())
    job = asked(shop.world, ends)
    monkeypatch.setattr(shop.world.consumer("numbers"), "_failure", "KeyError: broken")

    shop.settle()

    found = shop.staff().get(f"/v1/jobs/{job['id']}").json
    assert (found["status"], found["failed"]) == ("failed", 100)
    assert "numbers" in found["detail"]


def test_an_advance_cut_off_by_a_crash_says_so_and_time_does_not_go_back(tmp_path: Path) -> None:
    site = make_site(tmp_path / "data").stocked()
    ends = hold(site, site.customer())
    job = asked(site.world, ends + timedelta(days=1))
    while not site.world.messages(ClockAdvanced):
        site.world.engine.settle()
        site.world.assembly.advancing.step()

    again = site.world.restart()

    staff = context("", key="look", roles=("staff",))
    found = again.client.call("clock", "get_clock_job", staff, job_id=job["id"])
    assert found["status"] == "failed"
    assert again.runtime.clock.now() >= ends
    again.settle()
    assert [e.message.reason for e in again.happened(HoldReleased)] == ["expired"]
    asked(again, ends + timedelta(days=1), key="further")
    again.settle()
    assert again.runtime.clock.now() >= ends + timedelta(days=1)
    again.close()


def test_what_is_due_next_is_listed(shop: Site) -> None:
    ends = hold(shop, shop.customer())

    (due,) = shop.staff().get("/v1/test-clock").json["next"]

    assert datetime.fromisoformat(due["at"]) == ends
    assert due["name"] == "hold_expiry"

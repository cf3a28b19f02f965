"""The numbers of one offer: in order, alone and in runs."""

import pytest

from shared.errors import NotFound, Unprocessable


def test_an_offer_nobody_made_is_unknown(shop):
    with pytest.raises(NotFound, match="offer_unknown"):
        shop.hold({"offer_id": "off_x", "quantity": 1})
    with pytest.raises(NotFound, match="offer_unknown"):
        shop.call("list_offer_numbers", offer_id="off_x")


def test_an_offers_numbers_are_listed_in_order_without_those_taken(shop):
    offer = shop.stock("+12125550100", 30)
    shop.stock("+12125550500", 30)
    quote = shop.hold({"number": "+12125550103"}, {"number": "+12125550501"})
    shop.world.settle()

    rows = shop.walk("list_offer_numbers", offer_id=offer, limit=7)

    numbers = [row["number"] for row in rows]
    assert len(numbers) == 58
    assert numbers == sorted(set(numbers))
    assert not set(numbers) & set(quote["numbers"])
    assert rows[0] == {"number": "+12125550100", "display": "+1 (212) 555-01-00"}


def test_runs_are_of_consecutive_numbers_and_share_none(shop):
    offer = shop.stock("+12125550100", 20)
    shop.hold({"number": "+12125550103"}, {"number": "+12125550112"})
    shop.world.settle()

    rows = shop.walk("list_offer_numbers", offer_id=offer, consecutive=3, limit=2)

    assert [row["number"][-2:] for row in rows] == ["00", "04", "07", "13", "16"]
    assert rows[0]["numbers"] == ["+12125550100", "+12125550101", "+12125550102"]


def test_runs_can_be_narrowed_down_by_digits(shop):
    offer = shop.stock("+12125550100", 100)

    rows = shop.walk("list_offer_numbers", offer_id=offer, consecutive=5, contains="014")

    assert [row["number"] for row in rows] == ["+12125550140", "+12125550145"]
    assert len(shop.walk("list_offer_numbers", offer_id=offer, contains="7")) == 19


@pytest.mark.parametrize("length", [-1, 11])
def test_a_run_has_1_to_10_numbers(shop, length):
    offer = shop.stock("+12125550100", 100)

    with pytest.raises(Unprocessable, match="consecutive is from 1 to 10"):
        shop.call("list_offer_numbers", offer_id=offer, consecutive=length)

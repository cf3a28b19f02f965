"""A hold may be cut off, overtaken and repeated at every step."""

import shutil
from itertools import count

import pytest

from services.inventory.messages import (
    HoldAllocated,
    HoldAsked,
    HoldPinned,
    HoldRefused,
    Item,
    NumberAllocated,
    ReleaseNumber,
)
from shared.errors import Gone
from tests.integration.inventory.crashes import KillSwitch, Overtaker, dies
from tests.integration.inventory.shop import (
    Shop,
    open_world,
)
from tests.integration.inventory.test_holding import FIRST, some


@pytest.fixture(scope="module")
def contested_files(tmp_path_factory, empty_files):
    """Three numbers of six are taken and the view does not know: a hold has to try more."""
    folder = shutil.copytree(empty_files, tmp_path_factory.mktemp("contested") / "data")
    shop = Shop(open_world(folder))
    offer = shop.stock(FIRST, 6)
    shop.hold(some(offer, 3), account="acct_2", key="rival")
    shop.world.close()
    return folder, offer


@pytest.fixture
def contested(tmp_path, contested_files):
    """Makes shops of that kind, each on files of its own. Who makes one closes it."""
    folder, offer = contested_files
    numbers = count()

    def make():
        files = shutil.copytree(folder, tmp_path / f"data{next(numbers)}")
        return Shop(open_world(files)), offer

    return make


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("settled", [False, True])
def test_a_hold_that_is_cut_off_anywhere_can_be_repeated(contested, written, settled):
    for n in count(1):
        shop, offer = contested()
        switch = KillSwitch(shop.world, n, written=written)
        died = dies(lambda shop=shop, offer=offer: shop.hold(some(offer, 3), key="mine"))
        assert died == switch.reached
        shop = Shop(shop.world.restart())
        if settled:
            shop.world.settle()

        quote = shop.hold(some(offer, 3), key="mine")

        assert quote["status"] == "open"
        assert len(set(quote["numbers"])) == 3
        assert shop.hold(some(offer, 3), key="mine")["numbers"] == quote["numbers"]
        shop.world.settle()
        assert len(shop.held()) == 6
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert n > 4  # Asked, held, tried more, held, recorded.


@pytest.mark.parametrize("written", [False, True])
def test_a_hold_that_is_cut_off_and_never_repeated_expires(contested, written):
    for n in count(1):
        shop, offer = contested()
        KillSwitch(shop.world, n, written=written)
        died = dies(lambda shop=shop, offer=offer: shop.hold(some(offer, 3), key="mine"))
        shop = Shop(shop.world.restart())
        shop.world.settle()
        shop.clock.forward(minutes=10)

        shop.world.settle()

        assert shop.held() == {}
        assert shop.search()[0]["available"] == 6
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert n > 4


@pytest.mark.parametrize("written", [False, True])
def test_an_order_that_is_cut_off_anywhere_is_served_all_the_same(contested, written):
    for n in count(1):
        shop, offer = contested()
        shop.place("ord_1", "", Item(offer_id=offer, quantity=3))
        KillSwitch(shop.world, n, written=written)
        died = dies(shop.world.settle)
        shop = Shop(shop.world.restart())
        shop.world.settle()
        assert len(shop.world.messages(HoldPinned)) == 1
        shop.assert_whole()
        shop.pay("ord_1")
        switch = KillSwitch(shop.world, n, written=written)
        died = dies(shop.world.settle) or died
        shop = Shop(shop.world.restart())

        shop.world.settle()

        (allocated,) = shop.world.messages(HoldAllocated)
        assert (len(allocated.numbers), allocated.refused) == (3, ())
        assert len(shop.world.messages(NumberAllocated)) == 3
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert switch.count < n
    assert n > 4


@pytest.mark.parametrize("written", [False, True])
def test_a_refused_order_that_is_cut_off_anywhere_leaves_nothing_held(contested, written):
    for n in count(1):
        shop, offer = contested()
        shop.place("ord_1", "", Item(offer_id=offer, quantity=5))
        KillSwitch(shop.world, n, written=written)
        died = dies(shop.world.settle)
        shop = Shop(shop.world.restart())

        shop.world.settle()

        assert [e.order_id for e in shop.world.messages(HoldRefused)] == ["ord_1"]
        assert len(shop.held()) == 3  # The rival's.
        shop.assert_whole()
        shop.world.close()
        if not died:
            break
    assert n > 4


@pytest.mark.parametrize("settled", [False, True])
def test_two_at_once_for_one_key_leave_nothing_behind(contested, settled):
    """The slow one is overtaken before each of its appends, by one who may know more."""
    for n in count(1):
        shop, offer = contested()

        def overtake(shop=shop, offer=offer):
            if settled:
                shop.world.settle()
            return shop.hold(some(offer, 2), key="mine")

        overtaker = Overtaker(shop.world, n, overtake)

        slow = shop.hold(some(offer, 2), key="mine")

        if not overtaker.reached:
            break
        assert slow["numbers"] == overtaker.result["numbers"]
        shop.world.settle()
        assert len(shop.held()) == 5
        shop.assert_whole()
        shop.world.close()
    assert n > 3


def test_a_hold_that_ends_while_it_is_being_filled_is_no_quote(contested):
    shop, offer = contested()
    ids = []

    def release():
        (asked,) = (e for e in shop.world.messages(HoldAsked) if e.account_id == "acct_1")
        ids.append(asked.hold_id)
        return shop.call("release_hold", hold_id=asked.hold_id)

    Overtaker(shop.world, 2, release)  # After it was asked for, before a number is held.
    with pytest.raises(Gone, match="quote_expired"):
        shop.hold(some(offer, 3), key="mine")
    shop.world.settle()

    assert shop.load(ids[0]).status == "ended"
    assert len(shop.held()) == 3
    shop.assert_whole()
    shop.world.close()


def test_what_a_cut_off_try_held_and_lost_again_is_replaced(shop):
    offer = shop.stock(FIRST, 2)
    KillSwitch(shop.world, 2, written=True)
    assert dies(lambda: shop.hold(some(offer, 1), key="mine"))
    shop = Shop(shop.world.restart())
    ((number, hold_id),) = shop.held().items()
    shop.world.execute(ReleaseNumber(number=number, hold_id=hold_id))
    rival = shop.hold({"number": number}, account="acct_2")

    quote = shop.hold(some(offer, 1), key="mine")

    assert set(quote["numbers"]) == {FIRST, "+12125550101"} - set(rival["numbers"])
    shop.world.settle()
    shop.assert_whole()
    shop.world.close()


@pytest.mark.parametrize("n", range(2, 6))
def test_two_processes_that_die_over_one_hold_leave_nothing_behind(contested, n):
    """The second one knows more, goes for other numbers and dies; then the first one dies too."""
    shop, offer = contested()
    other = Shop(open_world(shop.world.folder))

    def overtake_and_die():
        other.world.settle()
        KillSwitch(other.world, 1, written=True)
        return dies(lambda: other.hold(some(offer, 2), key="mine"))

    overtaker = Overtaker(shop.world, 1, overtake_and_die)
    KillSwitch(shop.world, n, written=True)
    dies(lambda: shop.hold(some(offer, 2), key="mine"))
    other.world.close()
    shop = Shop(shop.world.restart())
    shop.world.settle()

    quote = shop.hold(some(offer, 2), key="mine")

    assert overtaker.result is True
    assert len(quote["numbers"]) == 2
    shop.world.settle()
    assert len(shop.held()) == 5
    shop.assert_whole()
    shop.world.close()

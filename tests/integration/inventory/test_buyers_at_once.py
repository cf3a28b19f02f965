"""Real threads on one installation whose engine runs."""

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from deploy.stores import CONNECTIONS
from shared.errors import Conflict, PbxError
from tests.integration.inventory.shop import Shop
from tests.integration.inventory.test_holding import some
from tests.support.worlds import STORES, World

# A hold keeps a connection to the views, of which a process has few where they are in PostgreSQL.
AT_ONCE = 100 if STORES == "sqlite" else CONNECTIONS["views"]
FIRST = "+12125550100"


def at_rest(shop: Shop):
    """Ends the engine's thread and lets everything come to rest."""
    shop.world.engine.stop(10)
    shop.world.settle()


class Gate:
    """Nobody writes before so many want to: all of them have chosen their numbers by then."""

    def __init__(self, world: World, wanted: int) -> None:
        self._append = world.log.append_batch
        self._opened = threading.Event()
        self._arrived = itertools.count(1)
        self._wanted = wanted
        world.log.append_batch = self._wait

    def _wait(self, entries):
        if next(self._arrived) >= self._wanted:
            self._opened.set()
        assert self._opened.wait(60)
        return self._append(entries)


def test_of_200_buyers_at_once_one_gets_the_last_number(shop):
    offer = shop.stock(FIRST, 1)
    Gate(shop.world, AT_ONCE)
    shop.world.engine.start()
    ready, spans, outcomes = threading.Barrier(200, timeout=30), {}, {}

    def buy(n):
        ready.wait()
        began = time.monotonic()
        try:
            outcomes[n] = shop.hold(some(offer, 1), account=f"acct_{n}", key=f"buyer {n}")
        except PbxError as error:
            outcomes[n] = error
        spans[n] = (began, time.monotonic())

    with ThreadPoolExecutor(200) as pool:
        list(pool.map(buy, range(200)))
    at_rest(shop)

    winners = [n for n, found in outcomes.items() if isinstance(found, dict)]
    losers = {n: found for n, found in outcomes.items() if n not in winners}
    assert len(winners) == 1
    assert {type(found) for found in losers.values()} == {Conflict}
    assert {found.code for found in losers.values()} == {"number_gone"}
    assert len(losers) == 199
    began, ended = spans[winners[0]]
    overlapped = [n for n in losers if spans[n][0] < ended and spans[n][1] > began]
    print(f"overlapped the winner: {len(overlapped)} of 199")
    assert len(overlapped) >= AT_ONCE - 1
    assert list(shop.held()) == [FIRST]
    shop.assert_whole()


def test_16_buyers_of_40_numbers_each_are_all_served_from_one_block(shop):
    offer = shop.stock("+12125551000", 1000)
    shop.world.engine.start()
    ready = threading.Barrier(16, timeout=30)

    def buy(buyer):
        ready.wait()
        numbers = []
        for n in range(4):
            quote = shop.hold(some(offer, 10), account=f"acct_{buyer}", key=f"{buyer} {n}")
            numbers += quote["numbers"]
        return numbers

    with ThreadPoolExecutor(16) as pool:
        bought = list(pool.map(buy, range(16)))
    at_rest(shop)

    assert [len(numbers) for numbers in bought] == [40] * 16
    assert len({number for numbers in bought for number in numbers}) == 640
    assert shop.search()[0]["available"] == 360
    shop.assert_whole()


def test_counts_are_right_after_holding_and_releasing_at_random(shop):
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    offers = [shop.stock(FIRST, 30), shop.stock("+12125550200", 30)]
    shop.world.engine.start()
    end = time.monotonic() + 1.0
    counted = []

    def trade(buyer):
        chance, quotes, done = random.Random(seed + buyer), [], 0
        while time.monotonic() < end or done < 8:
            done += 1
            if quotes and chance.random() < 0.5:
                quote = quotes.pop(chance.randrange(len(quotes)))
                shop.call("release_hold", f"acct_{buyer}", hold_id=quote["id"])
            else:
                wanted = some(chance.choice(offers), chance.randint(1, 8))
                try:
                    quotes.append(shop.hold(wanted, account=f"acct_{buyer}"))
                except Conflict:
                    continue
        counted.append(done)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(trade, range(8)))
    at_rest(shop)

    print(f"calls {sum(counted)}, seed {seed}")
    assert sum(counted) >= 64
    shop.assert_whole()

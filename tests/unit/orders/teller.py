"""Says what other services would say: their events, into the log, without the services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.inventory.messages import Place, Terms
from services.orders.messages import NumberPurchased
from shared.aggregate import Aggregate
from shared.messages import command
from shared.spec import ServiceSpec
from tests.support.worlds import World
from tests.unit.orders.facts import ACCOUNT, NYC, ORDER, terms


@command
class Tell:
    """Records events as they are, in a stream of their own."""

    stream: str
    events: tuple[Any, ...]


def _decide(wanted: Tell, _state: None) -> Sequence[Any]:
    return wanted.events


TELLER = Aggregate(
    category="told",
    commands=(Tell,),
    initial=None,
    key=lambda wanted: wanted.stream,
    evolve=lambda state, _event: state,
    decide=_decide,
)


class Silent:
    """A service without methods."""

    def __init__(self, _runtime: Any) -> None:
        pass


TOLD = ServiceSpec(name="told", aggregates=(TELLER,), rpc=Silent, processes={})


def tell(world: World, *events: Any, stream: str = "others") -> int:
    """Records events of other services and lets everybody react; the last one's position."""
    position = world.execute(Tell(stream=stream, events=events)).position
    world.settle()
    return position


def purchased(n: int, account_id: str = ACCOUNT, **changed: Any) -> NumberPurchased:
    """A tenure of the n-th number, by default in New York."""
    place: Place = changed.pop("place", NYC)
    agreed: Terms = changed.pop("terms", terms(500_000, 1_260_000))
    fields: dict[str, Any] = {
        "num_id": f"num_{n}",
        "number": f"+1212555{n:04d}",
        "account_id": account_id,
        "order_id": ORDER,
        "offer_id": "off_ny",
        "place": place,
        "terms": agreed,
        "origin": "purchased",
    }
    return NumberPurchased(**(fields | changed))

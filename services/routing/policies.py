"""What routing does when orders says something. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.orders.messages import NumberPurchased
from services.routing.messages import ConfigureRoute
from shared.happened import Happened
from shared.spec import Policy

INCLUDED_CHANNELS = 2  # Contract section 6.


def react(event: Happened) -> Sequence[Any]:
    """Commands in answer to an event: a new number is set up with its included channels."""
    match event.message:
        case NumberPurchased() as e:
            return [_configure(e)]
        case _:
            return []


def _configure(e: NumberPurchased) -> ConfigureRoute:
    return ConfigureRoute(
        num_id=e.num_id,
        number=e.number,
        account_id=e.account_id,
        max_channels=INCLUDED_CHANNELS,
        sms=e.terms.sms,
    )


POLICY = Policy(events=(NumberPurchased,), react=react)

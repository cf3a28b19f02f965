"""Charges: money taken, or tried to."""

from __future__ import annotations

from typing import Any

from services.gateway.declare import Routes
from services.gateway.schemas.buying import Charge, ChargePath, Charges, ChargesQuery
from services.gateway.schemas.common import page
from services.gateway.surroundings import ask, without_position

ROUTES = Routes("Charges", "Money taken from a card, and given back.")


@ROUTES.get("/v1/charges", Charges, waits_for=("charges",), refuses=("invalid_cursor",))
def list_charges(query: ChargesQuery) -> dict[str, Any]:
    """Charges, newest first"""
    found = ask(
        "billing", "list_charges", order_id=query.order_id, limit=query.limit, after=query.cursor
    )
    return page({**found, "data": [without_position(one) for one in found["data"]]})


@ROUTES.get("/v1/charges/<charge_id>", Charge, waits_for=("charges",), refuses=("charge_unknown",))
def get_charge(path: ChargePath) -> Any:
    """A charge"""
    return without_position(ask("billing", "get_charge", charge_id=path.charge_id))

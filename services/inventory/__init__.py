"""Inventory: the stock of numbers, what is on sale, and who holds or has a number."""

from __future__ import annotations

from shared.spec import ServiceSpec


def spec() -> ServiceSpec:
    """Inventory in one object. Imported here, so that another service's use of our messages does
    not load all of it."""
    from services.inventory import holding, importing, messages, policies
    from services.inventory.domain import block, hold, stock, stock_import
    from services.inventory.projections import STOCK
    from services.inventory.service import InventoryService

    return ServiceSpec(
        name=messages.SERVICE,
        aggregates=(block.AGGREGATE, stock.AGGREGATE, hold.AGGREGATE, stock_import.AGGREGATE),
        rpc=InventoryService,
        policy=policies.POLICY,
        processes={
            messages.FillHold: holding.fill_for_order,
            messages.FillAwaiting: holding.fill_awaiting,
            messages.ConfirmHeld: holding.confirm_held,
            messages.ReleaseStrays: holding.release_strays,
            messages.AllocateHold: holding.allocate,
        },
        projections=(STOCK,),
        effects=importing.effects,
        timers=policies.TIMERS,
    )
